/** What `bin/assay.js` and tests start. The parts meet in the folder beside it. */
export { createLog, main, parts } from "./main/command-line.ts"
export { VERSION } from "./main/constants.ts"
export { start } from "./main/start.ts"
