/** Takes a check of a suite: uvu's test, or what runs it against several adapters side by side. */
export type Check = (name: string, body: () => Promise<void>) => void

/** What may have to be waited for. */
export type Awaitable<T> = T | Promise<T>
