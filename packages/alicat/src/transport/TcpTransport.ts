/**
 * A port behind a serial server on the network: the same bytes over TCP, `tcp://host:port`. It has no baud rate of its own.
 */
import { SourceOpenError } from "@sampleline/core"
import { Effect } from "effect"
import * as dns from "node:dns"
import * as net from "node:net"
import { throttled } from "./throttled.ts"
import type { OpenTransport } from "./Transport.ts"

export interface TcpAddress {
  readonly host: string
  readonly port: number
}

/** The address in `tcp://host:port`; null if the text is not one. */
export const parseTcp = (text: string): TcpAddress | null => {
  if (!URL.canParse(text)) return null
  const { hostname, password, pathname, port, protocol, search, username } = new URL(text)
  if (username !== "" || password !== "") return null
  if (protocol !== "tcp:" || hostname === "" || port === "" || port === "0") return null
  if (!["", "/"].includes(pathname) || search !== "") return null
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port) }
}

/** One name for an address, however it was written: with the host's IP address, if it can be looked up. */
export const canonicalTcp = ({ host, port }: TcpAddress): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    dns.lookup(host, (error, address) => {
      const known = error === null ? address : host.toLowerCase()
      resume(Effect.succeed(`tcp://${known.includes(":") ? `[${known}]` : known}:${port}`))
    })
  })

const CONNECT_TIMEOUT = "5 seconds"

/** Connects to the address; the scope ends the connection. */
export const tcpTransport = (path: string, { host, port }: TcpAddress): OpenTransport =>
  Effect.fnUntraced(function*(handlers) {
    const socket = yield* Effect.acquireRelease(
      Effect.callback<net.Socket, SourceOpenError>((resume) => {
        const socket = net.connect({ host, port, noDelay: true, keepAlive: true })
        socket.once("connect", () => resume(Effect.succeed(socket)))
        socket.once("error", (cause: NodeJS.ErrnoException) => resume(toOpenError(path, cause)))
        return Effect.sync(() => socket.destroy())
      }).pipe(
        Effect.timeoutOrElse({
          duration: CONNECT_TIMEOUT,
          orElse: () =>
            Effect.fail(
              new SourceOpenError({
                target: path,
                reason: "NoReply",
                detail: `no connection within ${CONNECT_TIMEOUT}; check the address, the network and the firewall`
              })
            )
        })
      ),
      (socket) =>
        Effect.sync(() => {
          socket.off("close", onClose)
          socket.destroy()
        }),
      { interruptible: true }
    )
    const onClose = () => handlers.onClose(null)
    socket.on("data", throttled(socket, handlers.onData))
    socket.on("error", () => {})
    socket.on("close", onClose)
    return {
      write: (bytes, done) => {
        let isAwaited = true
        socket.write(bytes, (error) => isAwaited && done(error ?? null))
        return () => {
          isAwaited = false
        }
      },
      setBaud: () => Effect.void
    }
  })

const toOpenError = (path: string, cause: NodeJS.ErrnoException) => {
  const details: { readonly [code: string]: string } = {
    ECONNREFUSED:
      "nothing listens there; check the address, that the serial server is on, and that no other program is connected",
    ECONNRESET: "the serial server closed the connection at once; another program may be connected",
    ENOTFOUND: "no such host; check its name",
    EHOSTUNREACH: "the host cannot be reached; check the network"
  }
  return Effect.fail(
    new SourceOpenError({
      target: path,
      reason: "NotFound",
      detail: details[cause.code ?? ""] ?? cause.message,
      cause
    })
  )
}
