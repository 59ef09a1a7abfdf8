import { createSoftwareKey } from "../../src/device/software-key.ts"

/** A key that is fit for a certificate: what challenges that name one are for. */
export const TLS_KEY = createSoftwareKey()
