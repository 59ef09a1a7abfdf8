import { compile } from "./compile.ts"
import type { Contexts, Registry } from "./ports.ts"

/** Contexts as they are now, each time. */
export const createContexts = (registry: Pick<Registry, "snapshotFor">): Contexts => {
  const readContext: Contexts["readContext"] = async (tenant, akName) =>
    compile(await registry.snapshotFor(tenant, akName))
  return {
    readContext,
    remembered: () => undefined,
    contextFor: async (tenant, akName) => ({
      context: await readContext(tenant, akName),
      isRemembered: false,
    }),
    moved: () => {},
  }
}
