/**
 * Simulated devices behind real pseudo-terminals, or on TCP ports of this machine. Programs open them like real devices.
 *
 *     const [fuel] = yield* Simulator.make({ devices: 1 })            // fuel.port is /dev/pts/N
 *     const [air] = yield* Simulator.make({ devices: 1, tcp: 0 })     // air.port is tcp://127.0.0.1:N
 *
 *     yield* Simulator.make({ faults: [{ kind: "delay", by: "600 millis", when: { every: 3 } }] })
 *
 * Pseudo-terminals need Linux or macOS.
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
import { ptyOutlet, tcpOutlet } from "./Outlet.ts"
import { makeBus } from "./SimulatedBus.ts"
import { SimulatedDevice } from "./SimulatedDevice.ts"
import { type SimulatorOptions, validate } from "./SimulatorOptions.ts"

export type { Fault, Occasion } from "./Faults.ts"
export type { SimulatorOptions } from "./SimulatorOptions.ts"

/**
 * A simulated device and its port.
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
  /** Takes its port away, like pulling out an adapter. */
  readonly unplug: Effect.Effect<void>
  /**
   * Brings its port back. A TCP or `pluggable` port has the same path as before. `devicesOf` names a device: the port then comes
   * back with the devices of that device's port.
   */
  readonly plug: (devicesOf?: string) => Effect.Effect<void, SourceOpenError | SourceDependencyError>
}

const GASES = ["N2", "Air", "Ar", "CO2"]

/**
 * Starts the devices. They run until the scope ends.
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

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "sampleline-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)
