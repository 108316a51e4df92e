/**
 * The places where a program finds simulated devices: pseudo-terminals and TCP ports.
 */
import { type SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { openPty, type Pty } from "./Pty.ts"
import type { SimulatedBus, Write } from "./SimulatedBus.ts"

/** A place where a bus can be plugged in. */
export interface Outlet {
  /** The path to open. */
  readonly path: () => string
  readonly plug: (bus: SimulatedBus) => Effect.Effect<void, SourceOpenError | SourceDependencyError>
  readonly unplug: Effect.Effect<void>
}

/** While a bus is plugged in, the outlet holds what `open` acquires. `open` gives the path. */
const makeOutlet = Effect.fnUntraced(function*(
  open: (bus: SimulatedBus) => Effect.Effect<string, SourceOpenError | SourceDependencyError, Scope.Scope>
): Effect.fn.Return<Outlet, never, Scope.Scope> {
  const state: { scope: Scope.Closeable | null; path: string } = { scope: null, path: "" }
  const unplug = Effect.suspend(() => {
    const { scope } = state
    state.scope = null
    return scope === null ? Effect.void : Scope.close(scope, Exit.void)
  })
  yield* Effect.addFinalizer(() => unplug)
  return {
    path: () => state.path,
    plug: Effect.fnUntraced(function*(bus) {
      yield* unplug
      state.scope = yield* Scope.make()
      state.path = yield* Scope.provide(open(bus), state.scope)
    }),
    unplug
  }
})

/** A pseudo-terminal. If `link` is given, it is the path. */
export const ptyOutlet = (link: string | null) =>
  makeOutlet(Effect.fnUntraced(function*(bus) {
    const write: Write = (bytes) => pty.write(bytes)
    const pty: Pty = yield* openPty(bus.attach(write))
    yield* Effect.addFinalizer(() => Effect.sync(() => bus.detach(write)))
    if (link === null) return pty.path
    yield* Effect.acquireRelease(
      Effect.sync(() => fs.symlinkSync(pty.path, link)),
      () => Effect.sync(() => fs.rmSync(link, { force: true }))
    )
    return link
  }))

/** A TCP port of this machine. A free port that was chosen once is kept. */
export const tcpOutlet = Effect.fnUntraced(function*(wanted: number) {
  let port = wanted
  return yield* makeOutlet(Effect.fnUntraced(function*(bus) {
    const server = yield* listen(port, bus)
    port = (server.address() as net.AddressInfo).port
    return `tcp://127.0.0.1:${port}`
  }))
})

const listen = Effect.fnUntraced(function*(port: number, bus: SimulatedBus) {
  const sockets = new Set<net.Socket>()
  return yield* Effect.acquireRelease(
    Effect.callback<net.Server, SourceOpenError>((resume) => {
      const server = net.createServer((socket) => {
        const write: Write = (bytes) => void socket.write(bytes)
        sockets.add(socket)
        socket.setNoDelay(true)
        socket.on("data", bus.attach(write))
        socket.on("error", () => {})
        socket.on("close", () => {
          sockets.delete(socket)
          bus.detach(write)
        })
      })
      server.on("error", (cause: NodeJS.ErrnoException) =>
        resume(Effect.fail(
          new SourceOpenError({
            target: `tcp://127.0.0.1:${port}`,
            reason: cause.code === "EADDRINUSE" ? "Busy" : "Unknown",
            detail: cause.code === "EADDRINUSE" ? "the port is in use; choose another one" : cause.message,
            cause
          })
        )))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
})
