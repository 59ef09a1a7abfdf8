import type { Command } from "commander"
import { addCheckChain } from "./check-chain.ts"
import { addCheckQuote } from "./check-quote.ts"
import { addCheckToken } from "./check-token.ts"
import type { CommandContext } from "./command.ts"

/** `assay check …`: whether something holds, with nothing but what is handed in. */
export const addCheck = (program: Command, context: CommandContext): void => {
  const check = program.command("check").description("Check a quote, a certificate chain or a token offline.")
  addCheckQuote(check, context)
  addCheckChain(check, context)
  addCheckToken(check, context)
}
