/** The demonstration, with a server and the machines that it may show. */
import { readFileSync } from "node:fs"
import type { AddCommand } from "../cli/command.ts"
import { addDemo } from "../cli/demo.ts"
import type { ServeParts } from "../cli/serve.ts"
import { createAttestationClient } from "../client/attestation.ts"
import { softwareMachine, swtpmMachine } from "../device/machine.ts"
import { pcrFile } from "../device/pcrfile.ts"
import { createLog } from "./log.ts"
import { softwareMaker } from "./trust.ts"

/** `assay demo`. */
export const demoCommand = (start: ServeParts["start"]): AddCommand =>
  addDemo({
    start,
    createLog,
    machine: async (kind, folder) =>
      kind === "swtpm" ? swtpmMachine() : softwareMachine(new TextDecoder().decode(softwareMaker(folder))),
    gateway: (address, credentialFile) =>
      createAttestationClient(address, { credential: readFileSync(credentialFile, "utf8").trim() }),
    pcrFile,
  })
