/** A proxy in front of a Postgres server that can cut the connection around the next COMMIT. */
import { Effect, type Scope } from "effect"
import * as net from "node:net"

/**
 * When the client's COMMIT gets lost: `before` the server gets it, `during` the server's work on it, or `after` that, so that only
 * the answer is lost.
 */
export type Cut = "before" | "during" | "after"

export const cutCommit = (
  server: { readonly host: string; readonly port: number }
): Effect.Effect<
  { readonly port: number; readonly cutNext: (cut: Cut) => void; readonly isCut: () => boolean },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    let next: Cut | undefined
    const sockets = new Set<net.Socket>()
    const proxy = yield* Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const proxy = net.createServer((client) => {
          const upstream = net.connect(server.port, server.host)
          const end = () => {
            client.destroy()
            upstream.destroy()
          }
          for (const socket of [client, upstream]) {
            sockets.add(socket)
            socket.on("error", end)
            socket.on("close", end)
          }
          client.on("data", (data) => {
            const cut = data.includes("COMMIT\0") ? next : undefined
            if (cut === undefined) return upstream.write(data)
            next = undefined
            if (cut === "before") return end()
            upstream.removeAllListeners("data")
            if (cut === "after") upstream.once("data", end)
            upstream.write(data, () => cut === "during" && end())
          })
          upstream.on("data", (data) => client.write(data))
        })
        proxy.listen(0, "127.0.0.1", () => resume(Effect.succeed(proxy)))
      }),
      (proxy) =>
        Effect.sync(() => {
          proxy.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    return {
      port: (proxy.address() as net.AddressInfo).port,
      cutNext: (cut) => {
        next = cut
      },
      isCut: () => next === undefined
    }
  })
