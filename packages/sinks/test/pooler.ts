/**
 * A proxy in front of a Postgres server that greets clients as PgBouncer with its defaults does: it has no TLS, and refuses every
 * startup parameter that it does not know.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"

const KNOWN = new Set([
  "user",
  "database",
  "application_name",
  "client_encoding",
  "datestyle",
  "timezone",
  "standard_conforming_strings"
])

const TLS_REQUEST = 80_877_103
const CANCEL_REQUEST = 80_877_102

/** Gives the proxy's port. */
export const pooler = (
  server: { readonly host: string; readonly port: number }
): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const proxy = net.createServer((client) => {
        client.on("error", () => {})
        client.on("data", (packet) => {
          const code = packet.readInt32BE(4)
          if (code === TLS_REQUEST) return client.write("N")
          const unknown = code === CANCEL_REQUEST
            ? undefined
            : parametersOf(packet).find((name) => !KNOWN.has(name.toLowerCase()))
          if (unknown !== undefined) return client.end(errorResponse(`unsupported startup parameter: ${unknown}`))
          client.removeAllListeners("data")
          const upstream = net.connect(server.port, server.host)
          upstream.on("error", () => client.destroy())
          upstream.write(packet)
          client.pipe(upstream)
          upstream.pipe(client)
        })
      })
      proxy.listen(0, "127.0.0.1", () => resume(Effect.succeed(proxy)))
    }),
    (proxy) => Effect.sync(() => proxy.close())
  ).pipe(Effect.map((proxy) => (proxy.address() as net.AddressInfo).port))

/** The names of the parameters of a startup packet: length, version, then names and values that end in NUL. */
const parametersOf = (packet: Buffer): ReadonlyArray<string> =>
  packet.toString("utf8", 8, packet.readInt32BE(0)).split("\0").filter((text, at) => at % 2 === 0 && text !== "")

const errorResponse = (message: string): Buffer => {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${message}\0\0`)
  const head = Buffer.from("E\0\0\0\0")
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}
