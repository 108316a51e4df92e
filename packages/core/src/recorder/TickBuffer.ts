/**
 * The ticks that wait for the consumer, and the losses that the consumer has not been told of yet.
 *
 * The recorder puts polled ticks in, the stream takes them out. A full buffer makes the recorder wait, or drops a tick
 * (`overflow`). The next delivered tick then carries the losses: skipped slots, dropped ticks, their failures and clock steps.
 * Losses after the last tick go into a trailer, a tick without samples.
 */
import { Cause, Effect, Exit, Metric, Queue, Stream } from "effect"
import * as Metrics from "../Metrics.ts"
import type { Reading } from "../PollSource.ts"
import type { SkipCause } from "../RunEvent.ts"
import { type DeviceFailure, type Run, Sample, type Tick } from "../Sample.ts"
import type { ClockStep } from "../SampleClock.ts"

/**
 * What the recorder does when the buffer is full. `block`: it waits, and skips the slots that it misses. `dropNewest`: it drops
 * the new tick. `dropOldest`: it drops the oldest tick in the buffer. Skipped and dropped ticks are counted.
 *
 * @since 0.1.0
 * @category options
 */
export type Overflow = "block" | "dropNewest" | "dropOldest"

/** A tick as the recorder made it. It becomes a `Tick` when the consumer takes it. */
export interface PolledTick {
  readonly index: number
  /** When it began, in microseconds since the epoch. */
  readonly at: number
  readonly driftMs: number
  /** Steps of the system clock since the last polled tick. */
  readonly clockSteps: ReadonlyArray<ClockStep>
  readonly readings: ReadonlyArray<Reading>
  readonly failures: ReadonlyArray<DeviceFailure>
}

interface Entry extends PolledTick {
  /** Ticks dropped between the previous entry and this one. */
  readonly droppedBefore: number
  /** Why slots were skipped before it. */
  readonly skipCause: SkipCause | null
}

export class TickBuffer<E> {
  private readonly queue: Queue.Queue<Entry, E | Cause.Done>
  private readonly run: Run
  private readonly overflow: Overflow
  /** The slot after the last polled or skipped slot. The recorder advances it. */
  nextIndex = 0
  /** Why the slots before that were skipped; null if they were not. */
  private skipCause: SkipCause | null = null
  /** Samples that wait for the consumer. */
  waiting = 0
  /** The sequence number of the next sample. */
  private sequence = 0
  /** The index of the last delivered tick. A gap in the indexes is skipped slots, unless ticks were dropped. */
  private lastIndex = -1
  /** Losses that no delivered tick shows yet. */
  private droppedFromFront = 0
  private droppedAtBack = 0
  private droppedFailures = new Map<string, number>()
  private droppedSteps: Array<ClockStep> = []
  private droppedSkipCause: SkipCause | null = null
  private readonly now: () => number

  private constructor(queue: Queue.Queue<Entry, E | Cause.Done>, run: Run, overflow: Overflow, now: () => number) {
    this.queue = queue
    this.run = run
    this.overflow = overflow
    this.now = now
  }

  /** `now` gives microseconds since the epoch. */
  static make<E>(
    run: Run,
    options: { readonly bufferSize: number; readonly overflow: Overflow },
    now: () => number
  ) {
    return Effect.map(
      Queue.make<Entry, E | Cause.Done>({ capacity: options.bufferSize }),
      (queue) => new TickBuffer<E>(queue, run, options.overflow, now)
    )
  }

  /** The slots up to this one are skipped. */
  skipTo(index: number, cause: SkipCause): void {
    this.nextIndex = index
    this.skipCause = cause
  }

  /** Adds a tick by the overflow policy. Waits only with `block`. */
  offer(polled: PolledTick): Effect.Effect<unknown> {
    const entry = { ...polled, droppedBefore: this.droppedAtBack, skipCause: this.skipCause }
    this.droppedAtBack = 0
    this.skipCause = null
    this.waiting += entry.readings.length
    if (this.overflow === "block" || !Queue.isFullUnsafe(this.queue)) return Queue.offer(this.queue, entry)
    if (this.overflow === "dropNewest") {
      this.droppedAtBack = entry.droppedBefore + 1
      this.keepAccountsOf(entry)
    } else {
      const oldest = Queue.takeUnsafe(this.queue)
      if (oldest !== undefined && Exit.isSuccess(oldest)) {
        this.droppedFromFront += oldest.value.droppedBefore + 1
        this.keepAccountsOf(oldest.value)
      }
      Queue.offerUnsafe(this.queue, entry)
    }
    return Metric.update(Metrics.ticksDropped, 1)
  }

  /** No more ticks come. An interruption ends the buffer like a success does. */
  close(exit: Exit.Exit<unknown, E>): Effect.Effect<unknown> {
    return Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
      ? Queue.failCause(this.queue, exit.cause)
      : Queue.end(this.queue)
  }

  /** The ticks in order, then the trailer if a loss came after the last tick. */
  get ticks(): Stream.Stream<Tick, E> {
    return Stream.concat(
      Stream.map(Stream.fromQueue(this.queue), (entry) => this.deliver(entry)),
      Stream.suspend(() => this.trailer())
    )
  }

  private keepAccountsOf(dropped: Entry): void {
    this.waiting -= dropped.readings.length
    this.droppedSteps.push(...dropped.clockSteps)
    this.droppedSkipCause ??= dropped.skipCause
    for (const { device } of dropped.failures) {
      this.droppedFailures.set(device, (this.droppedFailures.get(device) ?? 0) + 1)
    }
  }

  private deliver({ at, clockSteps, driftMs, droppedBefore, failures, index, readings, skipCause }: Entry): Tick {
    this.waiting -= readings.length
    const { droppedSteps, ...losses } = this.takeLosses(index, droppedBefore, skipCause)
    return {
      run: this.run,
      index,
      at,
      driftMs,
      ...losses,
      clockSteps: droppedSteps.length === 0 ? clockSteps : [...droppedSteps, ...clockSteps],
      samples: readings.map((reading) =>
        new Sample({ ...reading, run: this.run, sequence: this.sequence++, tick: index })
      ),
      thinned: NONE,
      failures,
      isTrailer: false
    }
  }

  private trailer(): Stream.Stream<Tick> {
    const index = this.nextIndex
    const { droppedSteps, ...losses } = this.takeLosses(index, this.droppedAtBack, this.skipCause)
    return losses.skipped + losses.dropped === 0
      ? Stream.empty
      : Stream.succeed<Tick>({
        run: this.run,
        index,
        at: this.now(),
        driftMs: 0,
        ...losses,
        clockSteps: droppedSteps,
        samples: NONE,
        thinned: NONE,
        failures: NONE,
        isTrailer: true
      })
  }

  /** The losses before the tick with this index. They are taken: the next tick does not show them again. */
  private takeLosses(index: number, droppedBefore: number, cause: SkipCause | null) {
    const dropped = this.droppedFromFront + droppedBefore
    const skipped = index - this.lastIndex - 1 - dropped
    const skipCause = this.droppedSkipCause ?? cause
    const { droppedFailures, droppedSteps } = this
    this.droppedSkipCause = null
    this.droppedFromFront = 0
    if (droppedFailures.size > 0) this.droppedFailures = new Map()
    if (droppedSteps.length > 0) this.droppedSteps = []
    this.lastIndex = index
    return {
      skipped,
      skipCause,
      dropped,
      droppedFailures: droppedFailures.size === 0 ? NO_FAILURES : droppedFailures,
      droppedSteps
    }
  }
}

const NONE: ReadonlyArray<never> = []

const NO_FAILURES: ReadonlyMap<string, number> = new Map()
