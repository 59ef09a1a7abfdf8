import { z } from "zod"
import { path, text } from "./text.ts"

const tls = () =>
  z.strictObject({
    certificate: path().describe(
      "PEM of the server's certificate and of its issuers. Read again when it changes, as the key.",
    ),
    key: path().describe("PEM of its private key, without a passphrase, not for everybody to read."),
  })

/** Where gRPC is served. */
export const listeners = {
  listen: z
    .array(
      z.union([
        text(),
        z.strictObject({
          address: text().describe("`HOST:PORT`, the host in numbers; IPv6 in brackets."),
          tls: tls().describe("TLS 1.2 or 1.3 at this address."),
        }),
      ]),
    )
    .min(1)
    .optional()
    .describe(
      "Where gRPC is served: with TLS at any address, without it at `unix:PATH` and, in development mode, `127.0.0.1:PORT`. Without it, `assay.sock` in the data folder, and in development mode `127.0.0.1:7400`.",
    ),
}

/** Where pages are served. */
export const web = z
  .strictObject({
    public: text()
      .default("127.0.0.1:7401")
      .describe("Where keys, discovery and the epoch are served: on loopback, or with TLS at any address."),
    tls: tls().optional().describe("TLS for the public pages."),
    private: text()
      .default("127.0.0.1:7402")
      .describe(
        "Where metrics and probes are served: on loopback, or at an address of this machine in a private network. Neither encrypted nor for everybody.",
      ),
  })
  .prefault({})
  .describe("HTTP.")
