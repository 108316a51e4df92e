/**
 * Simulated devices behind real pseudo-terminals, one unit a port: what opens a serial port opens them too.
 *
 *     const [fuel] = yield* Simulator.make({ devices: 1 })   // fuel.port is /dev/pts/N
 *
 * Limits: needs an operating system with pseudo-terminals (Linux, macOS).
 */
import { InvalidOptionError, SampleClock, type SourceDependencyError, type SourceOpenError } from "@sampleline/core"
import { Effect, type Scope } from "effect"
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
  const { devices = 1 } = options
  if (!Number.isSafeInteger(devices) || devices < 1 || devices > 1000) {
    return yield* new InvalidOptionError({
      option: "devices",
      value: String(devices),
      expected: "a whole number of devices from 1 to 1000"
    })
  }
  return yield* Effect.forEach(
    Array.from({ length: devices }, (_, n) => n),
    (n) => serve(`sim${n + 1}`, new SimulatedDevice({ serialNumber: 100_001 + n, gas: GASES[n % GASES.length] }))
  )
})

const serve = Effect.fnUntraced(function*(name: string, device: SimulatedDevice) {
  const clock = yield* SampleClock.current
  const splitter = new LineSplitter()
  const start = clock.monotonicNanos()
  const pty: Pty = yield* openPty((chunk) => {
    for (const line of splitter.push(chunk)) {
      const seconds = (clock.monotonicNanos() - start) / 1e9
      const reply = device.respond(String.fromCharCode(...line), seconds)
      if (reply.length > 0) pty.write(encodeCommand(reply.join("\r")))
    }
  })
  return { name, unit: device.unitId, port: pty.path }
})
