/**
 * Asks the devices of a bus for their columns again while they are recorded. A unit that was changed at the panel shows in no
 * reading.
 *
 * - After some malformed replies in a row, at once.
 * - Otherwise now and then, one device after the other, and only if the table is surely there before the next poll.
 */
import type { SampleClock } from "@sampleline/core"
import { Effect, Option, type Scope } from "effect"
import type { DeviceSlot } from "./DeviceSlot.ts"
import { askColumns, askColumnsUntil, type OpenDevice } from "./OpenDevice.ts"

/** The time between two checks of a bus in the time that polls leave. It doubles after a check that came to nothing. */
const INTERVAL_NANOS = 5e9
/** A table may take longer than the last one: by this share, and by this time. */
const LONGER_SHARE = 0.25
const LONGER_NANOS = 10e6

/** Asks a device that declares its columns. What it does not answer is asked again after more malformed replies. */
export const checkColumns = (slot: DeviceSlot, opened: OpenDevice): Effect.Effect<void> =>
  opened.table === null ? Effect.void : askColumns(opened.port, opened.device.unitId).pipe(
    Effect.map((now) => slot.columnsChecked(opened, now)),
    Effect.repeat({ times: 1, while: () => slot.hasDoubtfulColumns }),
    Effect.ignore
  )

export class ColumnChecks {
  private readonly slots: ReadonlyArray<DeviceSlot>
  private readonly clock: SampleClock.SampleClock
  private readonly scope: Scope.Scope
  /** Devices that are being asked after malformed replies. */
  private readonly asking = new Set<OpenDevice>()
  /** Whose turn it is, and when. */
  private turn = 0
  private dueNanos: number
  private intervalNanos = INTERVAL_NANOS

  /** Checks go on until the scope ends. */
  constructor(slots: ReadonlyArray<DeviceSlot>, clock: SampleClock.SampleClock, scope: Scope.Scope) {
    this.slots = slots
    this.clock = clock
    this.scope = scope
    this.dueNanos = clock.monotonicNanos() + INTERVAL_NANOS
  }

  /** Whether a device is being asked after malformed replies. */
  isAsking(opened: OpenDevice): boolean {
    return this.asking.has(opened)
  }

  /** Asks a device whose replies make no sense, in the background. */
  ask(slot: DeviceSlot, opened: OpenDevice): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      this.asking.add(opened)
      return checkColumns(slot, opened).pipe(
        Effect.ensuring(Effect.sync(() => this.asking.delete(opened))),
        Effect.forkIn(this.scope)
      )
    })
  }

  /** Every device was polled. If a check is due and there is time for it, it is made in the background. */
  polled(nextPollAtNanos: number): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      const now = this.clock.monotonicNanos()
      if (now < this.dueNanos) return Effect.void
      const slot = this.slots[this.turn++ % this.slots.length]!
      const { open } = slot
      const deadline = nextPollAtNanos - LONGER_NANOS
      if (open === null || open.table === null || now + (1 + LONGER_SHARE) * open.table.nanos > deadline) {
        return Effect.void
      }
      this.dueNanos = Number.POSITIVE_INFINITY
      return Effect.forkIn(this.check(slot, open, open.table.rows, deadline), this.scope)
    })
  }

  private readonly check = Effect.fnUntraced({ self: this }, function*(
    slot: DeviceSlot,
    opened: OpenDevice,
    rows: number,
    deadlineNanos: number
  ) {
    const asked = yield* Effect.orElseSucceed(askColumnsUntil(deadlineNanos, opened, rows), Option.none)
    if (Option.isSome(asked)) slot.columnsChecked(opened, asked.value)
    this.intervalNanos = Option.isSome(asked) ? INTERVAL_NANOS : 2 * this.intervalNanos
    this.dueNanos = this.clock.monotonicNanos() + this.intervalNanos
    if (slot.hasDoubtfulColumns) this.checkAgain()
  })

  /** The next turn is that of the same device, and at once. */
  private checkAgain(): void {
    this.turn--
    this.dueNanos = 0
  }
}
