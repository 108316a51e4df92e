/**
 * Simulated devices on real pseudo-terminals, or on TCP ports of this machine. Programs open them like real devices.
 *
 *     const [fuel] = yield* Simulator.make({ devices: 1 })            // fuel.port is /dev/pts/N
 *     const [air] = yield* Simulator.make({ devices: 1, tcp: 0 })     // air.port is tcp://127.0.0.1:N
 *
 *     yield* Simulator.make({ faults: [{ kind: "delay", by: "600 millis", when: { every: 3 } }] })
 *
 * Limits: pseudo-terminals need Linux or macOS.
 */
import {
  type InvalidOptionError,
  SampleClock,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { UNIT_IDS } from "../wire/UnitId.ts"
import { isPortFault, type PortFault } from "./Faults.ts"
import { Outlet } from "./Outlet.ts"
import { type NamedDevice, SimulatedBus } from "./SimulatedBus.ts"
import { SimulatedDevice } from "./SimulatedDevice.ts"
import { type SimulatorOptions, validate } from "./SimulatorOptions.ts"

export type { Fault, Occasion } from "./Faults.ts"
export type { SimulatorOptions } from "./SimulatorOptions.ts"

/**
 * Where a simulated device is, and how to unplug it.
 *
 * @since 0.1.0
 * @category models
 */
export interface SimulatedPort {
  /** `sim1`, `sim2` and so on. */
  readonly name: string
  /** The unit id. */
  readonly unit: string
  /** The path to open. */
  readonly port: string
  /** Removes the port, as if the adapter were pulled out. */
  readonly unplug: Effect.Effect<void>
  /**
   * Brings the port back. TCP ports and `pluggable` ones keep their path. `devicesOf` names a device: the devices on its port are
   * plugged in here.
   */
  readonly plug: (devicesOf?: string) => Effect.Effect<void, SourceOpenError | SourceDependencyError>
}

const GASES = ["N2", "Air", "Ar", "CO2"] as const

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
  yield* validate(options)
  const ports = yield* openPorts(options)
  const portOf = (name: string) => ports.findIndex(({ members }) => members.some((member) => member.name === name))
  for (const fault of (options.faults ?? []).filter(isPortFault)) {
    yield* Effect.forkScoped(vanish(fault, affected(fault, ports, portOf)))
  }
  return ports.flatMap(({ bus, members, outlet }) =>
    members.map(({ device, name }): SimulatedPort => ({
      name,
      unit: device.unitId,
      port: outlet.path,
      unplug: outlet.unplug,
      plug: (devicesOf) => outlet.plug(devicesOf === undefined ? bus : ports[portOf(devicesOf)]!.bus)
    }))
  )
})

interface OpenPort {
  readonly members: ReadonlyArray<NamedDevice>
  readonly bus: SimulatedBus
  readonly outlet: Outlet
}

const openPorts = Effect.fnUntraced(function*(options: SimulatorOptions) {
  const { baud = null, devices = 1, faults = [], tcp, units = 1 } = options
  const isPluggable = options.pluggable ?? faults.some(isPortFault)
  const links = isPluggable && tcp === undefined ? yield* temporaryFolder : null
  const clock = yield* SampleClock.current
  const start = clock.monotonicNanos()
  const seconds = () => (clock.monotonicNanos() - start) / 1e9
  const all = makeDevices(options)
  return yield* Effect.forEach(
    Array.from({ length: Math.ceil(devices / units) }, (_, n) => all.slice(n * units, (n + 1) * units)),
    Effect.fnUntraced(function*(members, n) {
      const bus = yield* SimulatedBus.make(members, faults, seconds)
      const outlet = yield* tcp === undefined
        ? Outlet.pty(links === null ? null : path.join(links, members[0]!.name), baud)
        : Outlet.tcp(tcp === 0 ? 0 : tcp + n)
      yield* outlet.plug(bus)
      return { members, bus, outlet } satisfies OpenPort
    })
  )
})

const makeDevices = ({ devices = 1, firmware, numbered, units = 1 }: SimulatorOptions): ReadonlyArray<NamedDevice> =>
  Array.from({ length: devices }, (_, n) => ({
    name: `sim${n + 1}`,
    device: new SimulatedDevice({
      unitId: UNIT_IDS[n % units],
      serialNumber: 100_001 + n,
      gas: GASES[n % GASES.length],
      firmware,
      numbered
    })
  }))

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "sampleline-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** The ports that a fault affects. A swap affects a port and the next one. */
const affected = (fault: PortFault, ports: ReadonlyArray<OpenPort>, portOf: (name: string) => number) => {
  if (fault.kind === "vanish" && fault.device === undefined) return ports
  const first = fault.device === undefined ? 0 : portOf(fault.device)
  return fault.kind === "swap" ? [ports[first]!, ports[(first + 1) % ports.length]!] : [ports[first]!]
}

const vanish = Effect.fnUntraced(function*(fault: PortFault, ports: ReadonlyArray<OpenPort>) {
  yield* Effect.sleep(fault.after)
  yield* Effect.forEach(ports, ({ outlet }) => outlet.unplug)
  if (fault.for === undefined) return
  yield* Effect.sleep(fault.for)
  const buses = ports.map(({ bus }) => bus)
  if (fault.kind === "swap") buses.reverse()
  yield* Effect.forEach(ports, ({ outlet }, n) => outlet.plug(buses[n]!))
})
