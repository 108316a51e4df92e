/**
 * Simulated devices that share a wire. Each hears every command.
 */
import { Effect, type Scope } from "effect"
import { LineSplitter, textOf } from "../wire/Framing.ts"
import { disturb, type Fault } from "./Faults.ts"
import type { SimulatedDevice } from "./SimulatedDevice.ts"
import { WiredDevice, type Write } from "./WiredDevice.ts"

export interface NamedDevice {
  readonly name: string
  readonly device: SimulatedDevice
}

export class SimulatedBus {
  private readonly devices: ReadonlyArray<WiredDevice>
  /** The programs that have opened the wire. Pushed readings go to all of them. */
  private readonly programs: Set<Write>

  private constructor(devices: ReadonlyArray<WiredDevice>, programs: Set<Write>) {
    this.devices = devices
    this.programs = programs
  }

  /** Puts the devices on a wire. `seconds` is monotonic, from the start of the simulator. The scope ends the devices. */
  static readonly make = Effect.fnUntraced(function*(
    members: ReadonlyArray<NamedDevice>,
    faults: ReadonlyArray<Fault>,
    seconds: () => number
  ): Effect.fn.Return<SimulatedBus, never, Scope.Scope> {
    const programs = new Set<Write>()
    const broadcast: Write = (bytes) => {
      for (const write of programs) write(bytes)
    }
    const devices = yield* Effect.forEach(
      members,
      ({ device, name }) => WiredDevice.make({ device, disturb: disturb(faults, name), seconds, broadcast })
    )
    return new SimulatedBus(devices, programs)
  })

  /** A program has opened the wire, and is answered through `write`. The result takes what the program sends. */
  attach(write: Write): (chunk: Uint8Array) => void {
    this.programs.add(write)
    const splitter = new LineSplitter()
    return (chunk) => {
      for (const line of splitter.push(chunk)) {
        const command = textOf(line)
        for (const device of this.devices) device.receive(command, write)
      }
    }
  }

  detach(write: Write): void {
    this.programs.delete(write)
  }
}
