/**
 * Simulated devices on one port. Every program that has opened the port can send commands, and each device hears all of them.
 */
import { Effect, Queue, type Scope } from "effect"
import { encodeCommand, LineSplitter } from "../wire/Framing.ts"
import { type Disturb, disturb, type Fault } from "./Faults.ts"
import type { SimulatedDevice } from "./SimulatedDevice.ts"

/** Sends bytes to one program. */
export type Write = (bytes: Uint8Array) => void

/** Devices that share a port. */
export interface SimulatedBus {
  /** A program has opened the port. Gives the function for the bytes that it sends. Replies go to `write`. */
  readonly attach: (write: Write) => (chunk: Uint8Array) => void
  readonly detach: (write: Write) => void
}

/** Connects the devices. They run until the scope ends. */
export const makeBus = Effect.fnUntraced(function*(
  members: ReadonlyArray<{ readonly name: string; readonly device: SimulatedDevice }>,
  faults: ReadonlyArray<Fault>,
  seconds: () => number
): Effect.fn.Return<SimulatedBus, never, Scope.Scope> {
  const readers = new Set<Write>()
  const broadcast: Write = (bytes) => {
    for (const write of readers) write(bytes)
  }
  const answers = yield* Effect.forEach(
    members,
    ({ device, name }) => connect(device, disturb(faults, name), seconds, broadcast)
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

/** Connects one device. It replies in order, and pushes readings while it streams. Faults disturb both. */
const connect = Effect.fnUntraced(function*(
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
