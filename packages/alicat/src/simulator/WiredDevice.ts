/**
 * A simulated device on its wire: when its bytes leave it, and what its faults do to them. Replies leave in order; readings are
 * pushed while the device streams.
 */
import { Effect, Queue, type Scope } from "effect"
import { encodeCommand } from "../wire/Framing.ts"
import type { Disturb } from "./Faults.ts"
import type { SimulatedDevice } from "./SimulatedDevice.ts"

/** Sends bytes to a program that has opened the port. */
export type Write = (bytes: Uint8Array) => void

interface DelayedReply {
  readonly atSeconds: number
  readonly send: () => void
}

interface Parts {
  readonly device: SimulatedDevice
  readonly disturb: Disturb
  /** Monotonic, from the start of the simulator. */
  readonly seconds: () => number
  /** Sends to every program that has opened the port. */
  readonly broadcast: Write
}

export class WiredDevice {
  private readonly device: SimulatedDevice
  private readonly disturb: Disturb
  private readonly seconds: () => number
  private readonly broadcast: Write
  /** Replies that wait for their time, or for an earlier reply. */
  private readonly delayed: Queue.Queue<DelayedReply>
  /** How many replies wait. */
  private waiting = 0
  /** A signal: the device has started or stopped streaming. */
  private readonly streamingChanged: Queue.Queue<void>

  private constructor(parts: Parts, delayed: Queue.Queue<DelayedReply>, streamingChanged: Queue.Queue<void>) {
    this.device = parts.device
    this.disturb = parts.disturb
    this.seconds = parts.seconds
    this.broadcast = parts.broadcast
    this.delayed = delayed
    this.streamingChanged = streamingChanged
  }

  /** The scope ends the device. */
  static readonly make = Effect.fnUntraced(function*(parts: Parts): Effect.fn.Return<WiredDevice, never, Scope.Scope> {
    const wired = new WiredDevice(
      parts,
      yield* Queue.unbounded<DelayedReply>(),
      yield* Queue.unbounded<void>()
    )
    yield* Effect.forkScoped(Effect.forever(wired.sendDelayed))
    yield* Effect.forkScoped(
      Effect.forever(Effect.raceFirst(wired.push, Queue.take(wired.streamingChanged)))
    )
    return wired
  })

  /** Takes a command, which may be for another device on the wire, and answers it through `write`. */
  receive(command: string, write: Write): void {
    const { pushesEveryMillis, readings } = this.device
    const lines = this.device.respond(command, this.seconds())
    if (this.device.pushesEveryMillis !== pushesEveryMillis) Queue.offerUnsafe(this.streamingChanged, undefined)
    if (lines.length > 0) this.send(lines, this.device.readings > readings ? this.device.readings : null, write)
  }

  private send(lines: ReadonlyArray<string>, reading: number | null, write: Write): void {
    const reply = this.disturb(encodeCommand(lines.join("\r")), this.seconds(), reading)
    if (reply === null) return
    if (reply.delayMillis === 0 && this.waiting === 0) return write(reply.bytes)
    this.waiting++
    Queue.offerUnsafe(this.delayed, {
      atSeconds: this.seconds() + reply.delayMillis / 1000,
      send: () => write(reply.bytes)
    })
  }

  private get sendDelayed(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const { atSeconds, send } = yield* Queue.take(this.delayed)
      // A timer may end early.
      while (this.seconds() < atSeconds) yield* Effect.sleep(Math.max(1, 1000 * (atSeconds - this.seconds())))
      send()
      this.waiting--
    })
  }

  /** Sends one reading after the interval. Never returns while the device does not stream. */
  private get push(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const interval = this.device.pushesEveryMillis
      return interval === null ? Effect.never : Effect.andThen(
        Effect.sleep(Math.max(1, interval)),
        Effect.sync(() => this.send([this.device.push(this.seconds())], this.device.readings, this.broadcast))
      )
    })
  }
}
