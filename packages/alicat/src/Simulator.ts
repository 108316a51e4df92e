/**
 * Simulated devices behind real pseudo-terminals, or on TCP ports of this machine: what opens a port opens them too.
 *
 *     const [fuel] = yield* Simulator.make({ devices: 1 })            // fuel.port is /dev/pts/N
 *     const [air] = yield* Simulator.make({ devices: 1, tcp: 0 })     // air.port is tcp://127.0.0.1:N
 *
 *     yield* Simulator.make({ faults: [{ kind: "delay", by: "600 millis", when: { every: 3 } }] })
 *
 * Limits: pseudo-terminals need Linux or macOS.
 */
import { InvalidOptionError, SampleClock, type SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { type Duration, Effect, Exit, Formatter, Queue, Scope } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { type Disturb, disturb, type Fault, isPortFault, type Occasion, type PortFault } from "./Faults.ts"
import { millisOf, UNIT_IDS } from "./Plan.ts"
import { openPty, type Pty } from "./Pty.ts"
import { SimulatedDevice, type SimulatedFirmware } from "./SimulatedDevice.ts"
import { encodeCommand, LineSplitter } from "./wire/Framing.ts"

export type { Fault, Occasion } from "./Faults.ts"

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
  /** Default: `10v20`. */
  readonly firmware?: SimulatedFirmware | undefined
  /** Adds a column `Reading_Number`. Default: false. */
  readonly numbered?: boolean | undefined
  /** What the devices do wrong. Default: nothing. */
  readonly faults?: ReadonlyArray<Fault> | undefined
  /**
   * Gives pseudo-terminals a name that stays when they are unplugged, a link in a folder for temporary files. Default: only if a
   * port vanishes by `faults`.
   */
  readonly pluggable?: boolean | undefined
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
  /** Takes its port away, as when an adapter is pulled out. */
  readonly unplug: Effect.Effect<void>
  /** Brings its port back, under the same name if it is TCP or `pluggable`; with the devices of another one's port if named. */
  readonly plug: (devicesOf?: string) => Effect.Effect<void, SourceOpenError | SourceDependencyError>
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
  const { devices = 1, faults = [], firmware, numbered, tcp, units = 1 } = options
  yield* validate(options)
  const isPluggable = options.pluggable ?? faults.some(isPortFault)
  const links = isPluggable && tcp === undefined ? yield* temporaryFolder : null
  const clock = yield* SampleClock.current
  const start = clock.monotonicNanos()
  const seconds = () => (clock.monotonicNanos() - start) / 1e9

  const simulated = Array.from({ length: devices }, (_, n) => ({
    name: `sim${n + 1}`,
    device: new SimulatedDevice({
      unitId: UNIT_IDS[n % units],
      serialNumber: 100_001 + n,
      gas: GASES[n % GASES.length],
      firmware,
      numbered
    })
  }))
  const outlets = yield* Effect.forEach(
    Array.from({ length: Math.ceil(devices / units) }, (_, n) => simulated.slice(n * units, (n + 1) * units)),
    Effect.fnUntraced(function*(members, n) {
      const bus = yield* makeBus(members, faults, seconds)
      const outlet = yield* tcp === undefined
        ? ptyOutlet(links === null ? null : path.join(links, members[0]!.name))
        : tcpOutlet(tcp === 0 ? 0 : tcp + n)
      yield* outlet.plug(bus)
      return { members, bus, outlet }
    })
  )
  const outletOf = (name: string) => outlets.findIndex(({ members }) => members.some((member) => member.name === name))

  const vanish = Effect.fnUntraced(function*(places: typeof outlets, isSwapped: boolean, fault: PortFault) {
    yield* Effect.sleep(fault.after)
    yield* Effect.forEach(places, ({ outlet }) => outlet.unplug)
    if (fault.for === undefined) return
    yield* Effect.sleep(fault.for)
    const buses = places.map(({ bus }) => bus)
    yield* Effect.forEach(places, ({ outlet }, n) => outlet.plug(buses[isSwapped ? 1 - n : n]!))
  })
  for (const fault of faults.filter(isPortFault)) {
    const first = fault.device === undefined ? 0 : outletOf(fault.device)
    const places = fault.kind === "swap"
      ? [outlets[first]!, outlets[(first + 1) % outlets.length]!]
      : fault.device === undefined
      ? outlets
      : [outlets[first]!]
    yield* Effect.forkScoped(vanish(places, fault.kind === "swap", fault))
  }

  return outlets.flatMap(({ bus, members, outlet }) =>
    members.map(({ device, name }): SimulatedPort => ({
      name,
      unit: device.unitId,
      port: outlet.path(),
      unplug: outlet.unplug,
      plug: (devicesOf) => outlet.plug(devicesOf === undefined ? bus : outlets[outletOf(devicesOf)]!.bus)
    }))
  )
})

const validate = Effect.fnUntraced(function*({ devices = 1, faults = [], tcp, units = 1 }: SimulatorOptions) {
  const refuse = (option: string, value: unknown, expected: string) =>
    new InvalidOptionError({ option, value: Formatter.format(value), expected })
  const ports = Math.ceil(devices / units)
  for (
    const [option, value, lowest, highest] of [
      ["devices", devices, 1, 1000],
      ["units", units, 1, 26],
      ["tcp", tcp ?? 0, 0, 65_536 - ports]
    ] as const
  ) {
    if (!Number.isSafeInteger(value) || value < lowest || value > highest) {
      return yield* refuse(option, value, `a whole number from ${lowest} to ${highest}`)
    }
  }
  for (const fault of faults) {
    if (fault.device !== undefined && !(Number(/^sim([1-9]\d*)$/.exec(fault.device)?.[1]) <= devices)) {
      return yield* refuse(`faults.${fault.kind}.device`, fault.device, `sim1 to sim${devices}`)
    }
    if (fault.kind === "swap" && devices <= units) {
      return yield* refuse("faults.swap", { devices, units }, "at least two ports to swap")
    }
    const occasion = isPortFault(fault) ? fault : fault.when
    const times = [fault.kind === "delay" ? fault.by : 0, ...(occasion === undefined ? [] : timesOf(occasion))]
    const wrong = times.find((time) => {
      const millis = millisOf(time)
      return !(Number.isFinite(millis) && millis >= 0)
    })
    if (wrong !== undefined) return yield* refuse(`faults.${fault.kind}`, wrong, "a finite time such as \"600 millis\"")
    if (
      occasion !== undefined && "every" in occasion && !(Number.isSafeInteger(occasion.every) && occasion.every > 0)
    ) {
      return yield* refuse(`faults.${fault.kind}.when.every`, occasion.every, "a whole number above 0")
    }
  }
})

const timesOf = (occasion: PortFault | Occasion): ReadonlyArray<Duration.Input> =>
  "after" in occasion ? [occasion.after, occasion.for ?? 0] : []

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "sampleline-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

type Write = (bytes: Uint8Array) => void

/** Devices that share a wire. */
interface Bus {
  /** A program has opened the wire: takes what it sends, and is answered through `write`. */
  readonly attach: (write: Write) => (chunk: Uint8Array) => void
  readonly detach: (write: Write) => void
}

const makeBus = Effect.fnUntraced(function*(
  members: ReadonlyArray<{ readonly name: string; readonly device: SimulatedDevice }>,
  faults: ReadonlyArray<Fault>,
  seconds: () => number
): Effect.fn.Return<Bus, never, Scope.Scope> {
  const readers = new Set<Write>()
  const broadcast: Write = (bytes) => {
    for (const write of readers) write(bytes)
  }
  const answers = yield* Effect.forEach(
    members,
    ({ device, name }) => onWire(device, disturb(faults, name), seconds, broadcast)
  )
  return {
    attach: (write) => {
      readers.add(write)
      const splitter = new LineSplitter()
      return (chunk) => {
        for (const line of splitter.push(chunk)) {
          const command = String.fromCharCode(...line)
          for (const answer of answers) answer(command, write)
        }
      }
    },
    detach: (write) => void readers.delete(write)
  }
})

/** A device on a wire: answers in order, and pushes while it streams, with the faults it was told to have. */
const onWire = Effect.fnUntraced(function*(
  device: SimulatedDevice,
  disturbed: Disturb,
  seconds: () => number,
  broadcast: Write
) {
  const late = yield* Queue.unbounded<{ readonly atSeconds: number; readonly send: () => void }>()
  const changed = yield* Queue.unbounded<void>()
  let waiting = 0

  const send = (lines: ReadonlyArray<string>, reading: number | null, write: Write) => {
    const reply = disturbed(encodeCommand(lines.join("\r")), seconds(), reading)
    if (reply === null) return
    if (reply.delayMillis === 0 && waiting === 0) return write(reply.bytes)
    waiting++
    Queue.offerUnsafe(late, { atSeconds: seconds() + reply.delayMillis / 1000, send: () => write(reply.bytes) })
  }

  yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    const { atSeconds, send } = yield* Queue.take(late)
    yield* Effect.sleep(Math.max(0, 1000 * (atSeconds - seconds())))
    send()
    waiting--
  })))
  const push = Effect.suspend(() => {
    const every = device.pushesEveryMillis
    return every === null ? Effect.never : Effect.andThen(
      Effect.sleep(Math.max(1, every)),
      Effect.sync(() => send([device.push(seconds())], device.readings, broadcast))
    )
  })
  yield* Effect.forkScoped(Effect.forever(Effect.raceFirst(push, Queue.take(changed))))

  return (command: string, write: Write) => {
    const { pushesEveryMillis, readings } = device
    const lines = device.respond(command, seconds())
    if (device.pushesEveryMillis !== pushesEveryMillis) Queue.offerUnsafe(changed, undefined)
    if (lines.length > 0) send(lines, device.readings > readings ? device.readings : null, write)
  }
})

/** A place where a bus can be plugged in. */
interface Outlet {
  /** What is to be opened. */
  readonly path: () => string
  readonly plug: (bus: Bus) => Effect.Effect<void, SourceOpenError | SourceDependencyError>
  readonly unplug: Effect.Effect<void>
}

/** An outlet around whatever `open` acquires for as long as a bus is plugged in; `open` gives its path. */
const makeOutlet = Effect.fnUntraced(function*(
  open: (bus: Bus) => Effect.Effect<string, SourceOpenError | SourceDependencyError, Scope.Scope>
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

/** A pseudo-terminal; with a link, that is its name. */
const ptyOutlet = (link: string | null) =>
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

/** A TCP port; once it is known, the same one each time. */
const tcpOutlet = Effect.fnUntraced(function*(wanted: number) {
  let port = wanted
  return yield* makeOutlet(Effect.fnUntraced(function*(bus) {
    const server = yield* listen(port, bus)
    port = (server.address() as net.AddressInfo).port
    return `tcp://127.0.0.1:${port}`
  }))
})

const listen = Effect.fnUntraced(function*(port: number, bus: Bus) {
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
            detail: cause.code === "EADDRINUSE" ? "another program has the port; choose another one" : cause.message,
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
