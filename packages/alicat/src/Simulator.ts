/**
 * Simulated devices behind real pseudo-terminals, or on TCP ports of this machine: what opens a port opens them too.
 *
 *     const [fuel] = yield* Simulator.make({ devices: 1 })            // fuel.port is /dev/pts/N
 *     const [air] = yield* Simulator.make({ devices: 1, tcp: 0 })     // air.port is tcp://127.0.0.1:N
 *
 * Limits: pseudo-terminals need Linux or macOS.
 */
import { InvalidOptionError, SampleClock, type SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import { openPty, type Pty } from "./Pty.ts"
import { SimulatedDevice } from "./SimulatedDevice.ts"
import { encodeCommand, LineSplitter } from "./wire/Framing.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface SimulatorOptions {
  /** How many devices. Default: 1. */
  readonly devices?: number | undefined
  /** How many of them, `A`, `B` and so on, share a port. Default: 1. */
  readonly units?: number | undefined
  /** The TCP port of the first port, 127.0.0.1 only; the others follow it. 0 for any that are free. Default: pseudo-terminals. */
  readonly tcp?: number | undefined
}

/**
 * Where a simulated device is to be found.
 *
 * @since 0.1.0
 * @category models
 */
export interface SimulatedPort {
  /** `sim1`, `sim2` and so on. */
  readonly name: string
  readonly unit: string
  /** The path to open. */
  readonly port: string
}

const GASES = ["N2", "Air", "Ar", "CO2"]

/**
 * Starts the devices; the scope ends them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function*(
  options: SimulatorOptions = {}
): Effect.fn.Return<
  ReadonlyArray<SimulatedPort>,
  InvalidOptionError | SourceOpenError | SourceDependencyError,
  Scope.Scope
> {
  const { devices = 1, tcp, units = 1 } = options
  const check = (option: string, value: number, lowest: number, highest: number) =>
    Number.isSafeInteger(value) && value >= lowest && value <= highest
      ? Effect.void
      : Effect.fail(
        new InvalidOptionError({
          option,
          value: String(value),
          expected: `a whole number from ${lowest} to ${highest}`
        })
      )
  yield* check("devices", devices, 1, 1000)
  yield* check("units", units, 1, 26)
  if (tcp !== undefined) yield* check("tcp", tcp, 0, 65_535)

  const simulated = Array.from({ length: devices }, (_, n) => ({
    name: `sim${n + 1}`,
    device: new SimulatedDevice({
      unitId: String.fromCharCode(A + (n % units)),
      serialNumber: 100_001 + n,
      gas: GASES[n % GASES.length]
    })
  }))
  const buses = Array.from(
    { length: Math.ceil(devices / units) },
    (_, n) => simulated.slice(n * units, (n + 1) * units)
  )
  const served = yield* Effect.forEach(buses, (bus, n) =>
    Effect.gen(function*() {
      const attach = attachTo(bus.map(({ device }) => device), yield* SampleClock.current)
      const port = yield* tcp === undefined ? servePty(attach) : serveTcp(attach, tcp === 0 ? 0 : tcp + n)
      return bus.map(({ device, name }) => ({ name, unit: device.unitId, port }))
    }))
  return served.flat()
})

const A = "A".charCodeAt(0)

/** Takes what a connection sends, and answers through `write`. */
type Attach = (write: (bytes: Uint8Array) => void) => (chunk: Uint8Array) => void

const attachTo = (devices: ReadonlyArray<SimulatedDevice>, clock: SampleClock.SampleClock): Attach => {
  const start = clock.monotonicNanos()
  return (write) => {
    const splitter = new LineSplitter()
    return (chunk) => {
      for (const line of splitter.push(chunk)) {
        const seconds = (clock.monotonicNanos() - start) / 1e9
        const command = String.fromCharCode(...line)
        for (const device of devices) {
          const reply = device.respond(command, seconds)
          if (reply.length > 0) write(encodeCommand(reply.join("\r")))
        }
      }
    }
  }
}

const servePty = Effect.fnUntraced(function*(attach: Attach) {
  const pty: Pty = yield* openPty(attach((bytes) => pty.write(bytes)))
  return pty.path
})

const serveTcp = Effect.fnUntraced(function*(attach: Attach, port: number) {
  const sockets = new Set<net.Socket>()
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server, SourceOpenError>((resume) => {
      const server = net.createServer((socket) => {
        sockets.add(socket)
        socket.setNoDelay(true)
        const onData = attach((bytes) => void socket.write(bytes))
        socket.on("data", onData)
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
      })
      server.on("error", (cause: NodeJS.ErrnoException) =>
        resume(Effect.fail(
          new SourceOpenError({
            target: `tcp://127.0.0.1:${port}`,
            reason: cause.code === "EADDRINUSE" ? "Busy" : "Unknown",
            detail: cause.code === "EADDRINUSE" ? "another program has the port; choose another one" : cause.message,
            cause
          })
        )))
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )
  return `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`
})
