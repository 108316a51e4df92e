/**
 * A port where a bus of simulated devices can be plugged in: a pseudo-terminal, or a TCP port of this machine.
 */
import { type SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { openPty, type Pty } from "./Pty.ts"
import type { SimulatedBus } from "./SimulatedBus.ts"
import type { Write } from "./WiredDevice.ts"

/** Opens the port for a bus and gives its path. The scope closes it. */
type OpenPort = (bus: SimulatedBus) => Effect.Effect<string, SourceOpenError | SourceDependencyError, Scope.Scope>

export class Outlet {
  private readonly openPort: OpenPort
  /** Of the open port; null while nothing is plugged in. */
  private scope: Scope.Closeable | null = null
  private lastPath = ""

  private constructor(openPort: OpenPort) {
    this.openPort = openPort
  }

  /** The scope unplugs what is plugged in. */
  private static readonly make = (openPort: OpenPort): Effect.Effect<Outlet, never, Scope.Scope> =>
    Effect.acquireRelease(Effect.sync(() => new Outlet(openPort)), (outlet) => outlet.unplug)

  /**
   * A pseudo-terminal. If `link` is given, that is its path. If `baud` is given, devices and programs hear each other only at that
   * rate.
   */
  static readonly pty = (link: string | null, baud: number | null): Effect.Effect<Outlet, never, Scope.Scope> =>
    Outlet.make((bus) => openPtyFor(bus, link, baud))

  /** A TCP port. 0 takes any free port, and keeps it. */
  static readonly tcp = (wanted: number): Effect.Effect<Outlet, never, Scope.Scope> =>
    Effect.suspend(() => {
      let port = wanted
      return Outlet.make((bus) =>
        Effect.map(listen(port, bus), (server) => {
          port = (server.address() as net.AddressInfo).port
          return `tcp://127.0.0.1:${port}`
        })
      )
    })

  /** The path that a program opens. */
  get path(): string {
    return this.lastPath
  }

  /** Opens the port for this bus. */
  plug(bus: SimulatedBus): Effect.Effect<void, SourceOpenError | SourceDependencyError> {
    return Effect.gen({ self: this }, function*() {
      yield* this.unplug
      this.scope = yield* Scope.make()
      this.lastPath = yield* Scope.provide(this.openPort(bus), this.scope)
    })
  }

  get unplug(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { scope } = this
      this.scope = null
      return scope === null ? Effect.void : Scope.close(scope, Exit.void)
    })
  }
}

const openPtyFor = Effect.fnUntraced(function*(bus: SimulatedBus, link: string | null, baud: number | null) {
  // At another rate there is only noise on a real wire.
  const isHeard = () => baud === null || pty.baud() === baud
  const write: Write = (bytes) => isHeard() && pty.write(bytes)
  const receive = bus.attach(write)
  const pty: Pty = yield* openPty((chunk) => isHeard() && receive(chunk))
  if (baud !== null && pty.baud() === null) return yield* cannotReadBaud(pty.path)
  yield* Effect.addFinalizer(() => Effect.sync(() => bus.detach(write)))
  if (link === null) return pty.path
  yield* Effect.acquireRelease(
    Effect.sync(() => fs.symlinkSync(pty.path, link)),
    () => Effect.sync(() => fs.rmSync(link, { force: true }))
  )
  return link
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
      server.on("error", (cause: NodeJS.ErrnoException) => resume(Effect.fail(cannotListen(port, cause))))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
})

const cannotReadBaud = (path: string) =>
  new SourceOpenError({
    target: path,
    reason: "Unknown",
    detail: "its baud rate cannot be read, because the program stty is missing; simulate devices without a baud rate"
  })

const cannotListen = (port: number, cause: NodeJS.ErrnoException): SourceOpenError => {
  const isTaken = cause.code === "EADDRINUSE"
  return new SourceOpenError({
    target: `tcp://127.0.0.1:${port}`,
    reason: isTaken ? "Busy" : "Unknown",
    detail: isTaken ? "another program uses this port; choose another one" : cause.message,
    cause
  })
}
