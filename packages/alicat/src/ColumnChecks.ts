/**
 * Asks the devices of a bus for their columns again while they are recorded. A unit that was changed at the panel shows in no
 * reading.
 *
 * - After some malformed replies in a row: before the next poll if there is time for it. If there is none, at once, but only where
 *   no other device waits for the port.
 * - Otherwise now and then, one device after the other, and only if the table is surely there before the next poll.
 * - A changed device that shares its port is also asked who it is, in the same way: it may be as before again.
 */
import type { SampleClock } from "@sampleline/core"
import { Effect, Option, type Scope } from "effect"
import type { DeviceSlot } from "./DeviceSlot.ts"
import { askColumns, askColumnsUntil, type AskedTable, askIdentityUntil, type OpenDevice } from "./OpenDevice.ts"

/** The time between two checks of a bus in the time that polls leave. It doubles after a check that came to nothing. */
const INTERVAL_NANOS = 5e9
const LONGEST_INTERVAL_NANOS = 60e9
/** A table may take longer than the last one: by this share, and by this time. */
const LONGER_SHARE = 0.25
const LONGER_NANOS = 10e6
/** So many times in a row without enough time are no coincidence. */
const NEVER = 10
const START_AGAIN = "Start again when it is as before, or record at a lower rate"
/** Nobody polls any more if the next poll is so late. */
const LATE_NANOS = 1e9

/** Asks a device that declares its columns. What it does not answer is asked again after more malformed replies. */
export const checkColumns = (slot: DeviceSlot, opened: OpenDevice): Effect.Effect<void> =>
  opened.table === null ? Effect.void : askColumns(opened.port, opened.device.unitId).pipe(
    Effect.map((now) => slot.columnsChecked(opened, now)),
    Effect.repeat({ times: 1, while: () => slot.hasDoubtfulColumns }),
    Effect.ignore
  )

/** What came of asking: what was asked for, reason to ask the same device again after the next poll, or nothing. */
type Asked = "Came" | "Again" | "Nothing"

export class ColumnChecks {
  private readonly slots: ReadonlyArray<DeviceSlot>
  private readonly clock: SampleClock.SampleClock
  private readonly scope: Scope.Scope
  /** Devices whose replies make no sense. They are asked before the others. */
  private readonly wanted = new Set<DeviceSlot>()
  /** Devices that are being asked at once. */
  private readonly asking = new Set<OpenDevice>()
  /** How many turns there were, and when the next one is. */
  private turns = 0
  private dueNanos: number
  private intervalNanos = INTERVAL_NANOS
  private nextPollAtNanos: number | undefined
  /** Has the next turn, whosever it would be. */
  private again: DeviceSlot | null = null
  /** A changed device that has its columns as before, and is asked next who it is. */
  private unidentified: { readonly before: OpenDevice; readonly now: OpenDevice } | null = null
  /** How often in a row there was not enough time for a device. */
  private readonly lackedTime = new Map<DeviceSlot, number>()

  /** Checks go on until the scope ends. */
  constructor(slots: ReadonlyArray<DeviceSlot>, clock: SampleClock.SampleClock, scope: Scope.Scope) {
    this.slots = slots
    this.clock = clock
    this.scope = scope
    this.dueNanos = clock.monotonicNanos() + INTERVAL_NANOS
  }

  /** Whether a device is being asked at once. It is not polled then. */
  isAsking(opened: OpenDevice): boolean {
    return this.asking.has(opened)
  }

  /** Whether a changed device is asked here, because others on its port are being polled. */
  looksAt(slot: DeviceSlot): boolean {
    return this.isShared && slot.changed !== null && this.nextPollAtNanos !== undefined
      && this.clock.monotonicNanos() < this.nextPollAtNanos + LATE_NANOS
  }

  /** The replies of a device make no sense: it is to be asked after this poll. */
  want(slot: DeviceSlot): void {
    this.wanted.add(slot)
  }

  /** Every device was polled. Asks in the background what is wanted or due. `undefined` if nobody knows when the next poll is. */
  polled(nextPollAtNanos: number | undefined): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      this.nextPollAtNanos = nextPollAtNanos
      const isBeingAsked = this.dueNanos === Number.POSITIVE_INFINITY
      if (isBeingAsked) return Effect.void
      for (const slot of this.wanted) {
        const wanted = this.checkWanted(slot, nextPollAtNanos)
        if (wanted !== null) return wanted
      }
      return nextPollAtNanos === undefined || this.clock.monotonicNanos() < this.dueNanos
        ? Effect.void
        : this.checkNext(nextPollAtNanos)
    })
  }

  private get isShared(): boolean {
    return this.slots.length > 1
  }

  /** Null if the device need not be asked any more, or cannot be asked now. */
  private checkWanted(slot: DeviceSlot, nextPollAtNanos: number | undefined): Effect.Effect<unknown> | null {
    const { open } = slot
    const isWanted = open !== null && open.table !== null && !slot.malformed.isNone
    const inTime = isWanted && nextPollAtNanos !== undefined ? this.check(slot, open, nextPollAtNanos) : null
    if (isWanted && inTime === null && nextPollAtNanos !== undefined && this.isShared) {
      return this.lacksTime(
        slot,
        open.table,
        "its replies make no sense, and it is not asked for its columns",
        "Look at the device, or record at a lower rate"
      )
    }
    this.wanted.delete(slot)
    return isWanted ? inTime ?? this.checkAtOnce(slot, open) : null
  }

  private checkAtOnce(slot: DeviceSlot, open: OpenDevice): Effect.Effect<unknown> {
    this.asking.add(open)
    return checkColumns(slot, open).pipe(
      Effect.ensuring(Effect.sync(() => this.asking.delete(open))),
      Effect.forkIn(this.scope)
    )
  }

  private checkNext(nextPollAtNanos: number): Effect.Effect<unknown> {
    const slot = this.again ?? this.nextTurn
    this.again = null
    const { changed, open } = slot
    if (open !== null) return this.check(slot, open, nextPollAtNanos) ?? Effect.void
    return this.isShared && changed !== null ? this.look(slot, changed, nextPollAtNanos) : Effect.void
  }

  /** Every second turn is for a changed device, however many there are on the port: it gives no readings until it was asked. */
  private get nextTurn(): DeviceSlot {
    const changed = this.slots.filter((slot) => slot.changed !== null)
    const turn = this.turns++
    if (changed.length === 0) return this.slots[turn % this.slots.length]!
    const turns = turn % 2 === 0 ? changed : this.slots
    return turns[Math.floor(turn / 2) % turns.length]!
  }

  /** Asks a device for its columns; null if there is not enough time. */
  private check(slot: DeviceSlot, open: OpenDevice, nextPollAtNanos: number): Effect.Effect<unknown> | null {
    const { table } = open
    return table === null ?
      null :
      this.beforeNextPoll(
        slot,
        table,
        nextPollAtNanos,
        (deadlineNanos) =>
          Effect.map(askedOrNone(askColumnsUntil(deadlineNanos, open, table.rows)), (asked) => {
            if (Option.isNone(asked)) {
              return "Nothing"
            }
            slot.columnsChecked(open, asked.value)
            return slot.hasDoubtfulColumns ? "Again" : "Came"
          })
      )
  }

  /** Asks a changed device for its columns, and after the next poll who it is. It is recorded again if both are as before. */
  private look(slot: DeviceSlot, changed: OpenDevice, nextPollAtNanos: number): Effect.Effect<unknown> {
    const { columns, identity } = slot.tablesAsBefore
    const next = columns === null || this.unidentified?.before === changed ? identity : columns
    if (next === null) return Effect.void
    const longest = [columns, identity].reduce((one, other) => (other?.nanos ?? 0) > (one?.nanos ?? 0) ? other : one)!
    return this.beforeNextPoll(
      slot,
      longest,
      nextPollAtNanos,
      (deadlineNanos) =>
        next === columns
          ? this.lookAtColumns(slot, changed, next, deadlineNanos)
          : this.lookAtIdentity(slot, changed, next, deadlineNanos)
    ) ?? this.lacksTime(slot, longest, "it has changed, and it is not asked again", START_AGAIN) ?? Effect.void
  }

  private readonly lookAtColumns = Effect.fnUntraced({ self: this }, function*(
    slot: DeviceSlot,
    changed: OpenDevice,
    { rows }: AskedTable,
    deadlineNanos: number
  ): Effect.fn.Return<Asked> {
    const asked = yield* askedOrNone(askColumnsUntil(deadlineNanos, changed, rows))
    if (Option.isNone(asked) || slot.changed !== changed) return "Nothing"
    const { layout, table } = asked.value
    const now = { ...changed, layout, table }
    if (slot.tablesAsBefore.identity !== null && slot.hasSameColumns(now)) {
      this.unidentified = { before: changed, now }
      return "Again"
    }
    slot.opened(now)
    return "Came"
  })

  private readonly lookAtIdentity = Effect.fnUntraced({ self: this }, function*(
    slot: DeviceSlot,
    changed: OpenDevice,
    { rows }: AskedTable,
    deadlineNanos: number
  ): Effect.fn.Return<Asked> {
    const now = this.unidentified?.before === changed ? this.unidentified.now : changed
    this.unidentified = null
    const asked = yield* askedOrNone(askIdentityUntil(deadlineNanos, changed, rows))
    if (Option.isNone(asked) || slot.changed !== changed) return "Nothing"
    const { identity, table } = asked.value
    slot.opened({ ...now, device: { ...now.device, identity }, identityTable: table })
    return "Came"
  })

  /** Asks in the background for what comes in such a table; null if that may take longer than until the next poll. */
  private beforeNextPoll(
    slot: DeviceSlot,
    table: AskedTable,
    nextPollAtNanos: number,
    ask: (deadlineNanos: number) => Effect.Effect<Asked>
  ): Effect.Effect<unknown> | null {
    const deadlineNanos = nextPollAtNanos - LONGER_NANOS
    if (this.clock.monotonicNanos() + (1 + LONGER_SHARE) * table.nanos > deadlineNanos) return null
    this.lackedTime.delete(slot)
    this.wanted.delete(slot)
    this.dueNanos = Number.POSITIVE_INFINITY
    return Effect.forkIn(Effect.map(ask(deadlineNanos), (asked) => this.asked(slot, asked)), this.scope)
  }

  private asked(slot: DeviceSlot, asked: Asked): void {
    this.intervalNanos = asked === "Nothing"
      ? Math.min(2 * this.intervalNanos, LONGEST_INTERVAL_NANOS)
      : INTERVAL_NANOS
    this.dueNanos = this.clock.monotonicNanos() + this.intervalNanos
    if (asked !== "Again") return
    this.again = slot
    this.dueNanos = 0
  }

  /** There is not enough time for the table. Warns once if there never is; null if not. The failure of a changed device says so. */
  private lacksTime(
    slot: DeviceSlot,
    { nanos }: AskedTable,
    problem: string,
    nextStep: string
  ): Effect.Effect<unknown> | null {
    const times = (this.lackedTime.get(slot) ?? 0) + 1
    this.lackedTime.set(slot, times)
    if (times < NEVER) return null
    const cause = `its table takes ${Math.ceil(nanos / 1e6)} ms, and the polls on its port leave less`
    slot.advise(`It is not asked again: ${cause}. ${nextStep}`)
    return times > NEVER ? null : Effect.logWarning(`${slot.unit.name}: ${problem}: ${cause}. ${nextStep}`)
  }
}

const askedOrNone = <A>(asking: Effect.Effect<Option.Option<A>, unknown>): Effect.Effect<Option.Option<A>> =>
  Effect.orElseSucceed(asking, Option.none)
