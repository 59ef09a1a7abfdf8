export const VERSION = "0.1.0"

/** The one tenant that there is until there are more. */
export const TENANT = "default"
