/** What `bin/assay.js` and tests start. The parts meet in the folder beside it. */
export { main, parts, start } from "./main/command-line.ts"
export { VERSION } from "./main/constants.ts"
export { createLog } from "./main/log.ts"
