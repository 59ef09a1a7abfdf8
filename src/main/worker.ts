/** What a worker's process runs. */
import { work } from "./work.ts"

work()
