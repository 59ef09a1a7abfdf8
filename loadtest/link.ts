/** A connection of a client for load, which is made when the first call needs it. */
import { type ClientHttp2Session, connect } from "node:http2"

/** A connection to one server. */
export interface Link {
  /** The connection, made anew if it has ended: a server closes those that have said nothing for long. */
  session(): ClientHttp2Session
  /** What ended the last one, if it did not end as it should. */
  failure(): Error | undefined
  close(): Promise<void>
}

/** A link to `address`, `host:port`. Nothing is sent before it is asked for its session. */
export function createLink(address: string): Link {
  let session: ClientHttp2Session | undefined
  let failure: Error | undefined
  return {
    session: () => {
      if (session === undefined || session.closed || session.destroyed) {
        failure = undefined
        session = connect(`http://${address}`)
        session.on("error", (error) => {
          failure = error
        })
      }
      return session
    },
    failure: () => failure,
    close: () =>
      new Promise((closed) => {
        // One that has ended already would not call back.
        if (session === undefined || session.closed || session.destroyed) closed()
        else session.close(closed)
      }),
  }
}
