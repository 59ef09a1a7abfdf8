/** Streams that are closed. */
import type { Http2Stream } from "node:http2"

/** For errors of streams that end nothing: "close" comes next, or has come. */
export const ignore = (): void => {}

/**
 * Has nothing refer to a closed stream's call: Node keeps such streams, and all that their listeners refer to, until everything
 * is collected, so that a call would leave its request and its answer behind.
 *
 * @param events Those that somebody of ours listens to. Taking all listeners away is dear, and for whoever does not know.
 */
export const letGo = (stream: Http2Stream, events?: readonly string[]): void => {
  if (events !== undefined) for (const event of events) stream.removeAllListeners(event)
  else {
    stream.removeAllListeners()
    stream.on("error", ignore)
  }
}
