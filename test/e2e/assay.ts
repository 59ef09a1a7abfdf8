/** The program, run from its source. A process of its own, as `bin/assay.js` starts it once it is built. */
import { main } from "../../src/main.ts"

process.exitCode = await main(process.argv.slice(2))
