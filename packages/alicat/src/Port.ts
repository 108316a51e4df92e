/**
 * A port with devices on it: one command in flight, replies with the times of their own request.
 *
 * A poll reply carries no request's number, so a late one looks like the next one's. Where a device still owes a reply it is
 * asked nothing else before its debt is settled (`Debts.ts`).
 */
import { SampleClock, type SourceDependencyError, type SourceOpenError } from "@sampleline/core"
import { Cause, Deferred, Duration, Effect, LogLevel, Queue, Result, Schema, type Scope, Semaphore } from "effect"
import { Debts, isTableRow } from "./Debts.ts"
import type { OpenTransport } from "./Transport.ts"
import { encodeCommand, isRejection, LineSplitter, lineText } from "./wire/Framing.ts"
import { startStreamingCommand, stopStreamingCommand } from "./wire/PollLine.ts"
import { type MalformedReply, quoteBytes, RejectedCommand } from "./wire/WireError.ts"

/**
 * No reply came in time.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoReply extends Schema.TaggedError<NoReply>()("NoReply", {
  afterMs: Schema.Finite
}) {
  override get message() {
    return `no reply within ${this.afterMs} ms`
  }
}

/**
 * The port is gone: unplugged, or closed by the system.
 *
 * @since 0.1.0
 * @category errors
 */
export class PortGone extends Schema.TaggedError<PortGone>()("PortGone", {
  path: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `the port ${this.path} is gone`
  }
}

/**
 * A device on the port streams: nothing else can be asked there meanwhile.
 *
 * @since 0.1.0
 * @category errors
 */
export class PortStreams extends Schema.TaggedError<PortStreams>()("PortStreams", {
  path: Schema.String,
  unitId: Schema.String
}) {
  override get message() {
    return `unit ${this.unitId} streams on ${this.path}, and nothing else can be asked there meanwhile`
  }
}

/**
 * Whatever a request can fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export type RequestError = NoReply | PortGone | PortStreams | MalformedReply | RejectedCommand

/**
 * A line, and when its last byte had arrived.
 *
 * @since 0.1.0
 * @category models
 */
export interface Line {
  readonly bytes: Uint8Array
  /** Microseconds since the epoch. */
  readonly at: number
  readonly monotonicNanos: number
}

/**
 * A value out of a reply, and when it was asked for and got.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply<A> {
  readonly value: A
  /** Just before the command was written: microseconds since the epoch. */
  readonly requestedAt: number
  readonly requestedMonotonicNanos: number
  /** When the last byte of the line had arrived: microseconds since the epoch. */
  readonly receivedAt: number
  readonly receivedMonotonicNanos: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Port {
  readonly path: string
  /** Returns when the port is gone. */
  readonly closed: Effect.Effect<void>
  /** What to ask a device for as its fence: a table that it answers. */
  readonly fenceBy: (unitId: string, command: string) => void
  /** Sends a command that is answered by one line. */
  readonly askLine: <A>(
    command: string,
    decode: (line: Uint8Array) => Result.Result<A, MalformedReply>
  ) => Effect.Effect<Reply<A>, RequestError>
  /** Sends a command that is answered by a table. */
  readonly askTable: <A>(
    command: string,
    decode: (lines: ReadonlyArray<Uint8Array>) => Result.Result<A, MalformedReply>
  ) => Effect.Effect<A, RequestError>
  /** Whether a device still owes a reply. */
  readonly owes: (unitId: string) => boolean
  /**
   * Clears away what a device still owes, by its fence; fails while the device does not answer that either. Gives the lines of the
   * table that was the fence, none where nothing was owed.
   */
  readonly settle: (unitId: string) => Effect.Effect<ReadonlyArray<Uint8Array>, RequestError>
  /** Listens for a moment: whether something talks without being asked. */
  readonly isTalking: Effect.Effect<boolean, RequestError>
  /** Whether a reading was heard that a device sent by itself, since the port was opened. */
  readonly heardPushed: () => boolean
  /** Sends a command that nothing answers, and throws away what still comes. */
  readonly tell: (command: string) => Effect.Effect<void, RequestError>
  readonly setBaud: (baud: number) => Effect.Effect<void, RequestError>
  /** Has the port to oneself until the scope ends: whoever else asks for it fails at once, without a byte being sent. */
  readonly stream: (unitId: string) => Effect.Effect<PushedLines, RequestError, Scope.Scope>
}

/**
 * A device that sends lines by itself; it is stopped, and what it still sent thrown away, when the scope ends.
 *
 * @since 0.1.0
 * @category models
 */
export interface PushedLines {
  /** Makes the device begin; also one that has stopped. */
  readonly start: Effect.Effect<void, PortGone | NoReply>
  readonly next: Effect.Effect<Line, PortGone>
}

const SLICES = 5

/**
 * Waits for so long, in slices: of a time in which this process itself stood still only one counts, so that what came meanwhile is
 * read before it is taken for silence.
 */
const awake = (ms: number): Effect.Effect<unknown> => Effect.repeat(Effect.sleep(ms / SLICES), { times: SLICES - 1 })

/** A table has ended after this much silence. */
const TABLE_SILENCE_MS = 100
/** Far more than any table has: a device that streams is never silent. */
const MAX_TABLE_ROWS = 200
/** After a reply that makes no sense the rest of it may still be on its way. */
const SETTLE = Duration.millis(20)

/** A device that was not heard for so many time-outs will not answer what it was asked before. */
const PATIENCE = 6

/** A device that streams sends a line this often, or oftener, as it comes from the factory. */
const LISTEN_MS = 60
const MAX_DRAINED_BYTES = 256

interface Sent {
  readonly requestedAt: number
  readonly requestedMonotonicNanos: number
}

/**
 * Opens a port; the scope closes it. `lineTimeout` is how long a device may take to answer by a line; by the first line of a
 * table it may take twice that.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openPort = Effect.fnUntraced(function*(
  path: string,
  open: OpenTransport,
  baud: number,
  lineTimeout: Duration.Duration
): Effect.fn.Return<Port, SourceOpenError | SourceDependencyError, Scope.Scope> {
  const clock = yield* SampleClock.current
  const lines = yield* Queue.make<Line, PortGone>()
  const inFlight = yield* Semaphore.make(1)
  const closed = yield* Deferred.make<void>()
  const splitter = new LineSplitter()
  const lineMs = Duration.toMillis(lineTimeout)
  const tableMs = 2 * lineMs
  const debts = new Debts(PATIENCE * lineMs * 1e6)
  let pushedHeard = false
  const transport = yield* open({
    onData: (chunk) => {
      const at = clock.epochMicros()
      const monotonicNanos = clock.monotonicNanos()
      for (const bytes of splitter.push(chunk)) {
        const text = String.fromCharCode(...bytes)
        pushedHeard ||= isPushed(text)
        debts.heard(text.trimStart(), monotonicNanos)
        Queue.offerUnsafe(lines, { bytes, at, monotonicNanos })
      }
    },
    onClose: (cause) => {
      Queue.failCauseUnsafe(lines, portGone(path, cause))
      Deferred.doneUnsafe(closed, Effect.void)
    }
  }, baud)
  const toPortGone = (cause: Error) => new PortGone({ path, cause })

  const tellWire = (text: () => string) =>
    Effect.flatMap(LogLevel.isEnabled("Debug"), (isTold) => isTold ? Effect.logDebug(`${path} ${text()}`) : Effect.void)

  const send = Effect.fnUntraced(function*(command: string) {
    yield* Queue.clear(lines)
    splitter.reset()
    yield* tellWire(() => `< ${command}`)
    const requestedAt = clock.epochMicros()
    const requestedMonotonicNanos = clock.monotonicNanos()
    yield* Effect.mapError(transport.write(encodeCommand(command)), toPortGone)
    return { requestedAt, requestedMonotonicNanos }
  })

  /** The next line that is not empty and not left over; fails if it is a rejection. */
  const takeLine = Effect.fnUntraced(function*(
    command: string,
    isLeftOver: (text: string) => boolean
  ): Effect.fn.Return<Line, PortGone | RejectedCommand> {
    while (true) {
      const line = yield* Queue.take(lines)
      yield* tellWire(() => `> ${quoteBytes(line.bytes)}`)
      const raw = Result.getOrUndefined(lineText(line.bytes))
      const text = raw?.trim()
      if (text === "" || (text !== undefined && isLeftOver(text)) || (raw !== undefined && isPushed(raw))) continue
      if (text !== undefined && isRejection(text)) return yield* new RejectedCommand({ command })
      return line
    }
  })

  const within = (afterMs: number) => <A, E>(reply: Effect.Effect<A, E>): Effect.Effect<A, E | NoReply> =>
    Effect.raceFirst(reply, Effect.andThen(awake(afterMs), Effect.fail(new NoReply({ afterMs }))))
  /** The next line, or null where there is none in this time. */
  const nextWithin = (afterMs: number) => Effect.raceFirst(Queue.take(lines), Effect.as(awake(afterMs), null))
  const fences = new Map<string, string>()
  const ofOwingUnit = (text: string, asked: string) => text[0] !== asked && debts.has(text[0]!) && /^[A-Z] /.test(text)

  const restOfTable = Effect.fnUntraced(function*() {
    const rest: Array<Uint8Array> = []
    while (rest.length < MAX_TABLE_ROWS) {
      const line = yield* nextWithin(TABLE_SILENCE_MS)
      if (line === null) break
      rest.push(line.bytes)
    }
    return rest
  })

  /** Until there is silence, or it is plain that there will be none; whether there was. */
  const drain = Effect.gen(function*() {
    let bytes = 0
    while (bytes < MAX_DRAINED_BYTES) {
      const line = yield* nextWithin(LISTEN_MS)
      if (line === null) return true
      bytes += line.bytes.length
    }
    return false
  })

  const tell = (command: string) => Effect.andThen(within(lineMs)(send(command)), drain)

  /** One at a time; none while a device streams. */
  let streaming: string | null = null
  const alone = <A, E>(request: Effect.Effect<A, E>): Effect.Effect<A, E | PortStreams> =>
    Effect.suspend((): Effect.Effect<A, E | PortStreams> =>
      streaming === null
        ? inFlight.withPermits(1)(request)
        : Effect.fail(new PortStreams({ path, unitId: streaming }))
    )

  /** Asks for a table, and throws away everything that comes before it. */
  const settle = Effect.fnUntraced(function*(unit: string) {
    const command = fences.get(unit)
    let table: ReadonlyArray<Uint8Array> = []
    if (!debts.has(unit) || command === undefined) return table
    if (debts.sendsFence(unit, clock.monotonicNanos())) yield* within(lineMs)(send(command))
    do {
      const first = yield* within(tableMs)(takeLine(command, (text) => text[0] !== unit || !isTableRow(text)))
      table = [first.bytes, ...(yield* restOfTable())]
    } while (!debts.isSettled(unit))
    debts.paid(unit)
    return table
  })

  /** One request; what a device still owes is cleared away before it is asked again. */
  const exchange = <A, E extends RequestError>(
    command: string,
    timeoutMs: number,
    isLeftOver: (text: string) => boolean,
    finish: (sent: Sent, first: Line) => Effect.Effect<A, E>
  ): Effect.Effect<A, RequestError> => {
    const unit = command[0]!
    return alone(
      Effect.gen(function*() {
        yield* settle(unit)
        debts.asked(unit, clock.monotonicNanos())
        const [sent, first] = yield* within(timeoutMs)(Effect.gen(function*() {
          return [yield* send(command), yield* takeLine(command, isLeftOver)] as const
        }))
        // Noise, or another unit's line, is not its reply: that may still come.
        if (first.bytes[0] === unit.charCodeAt(0)) debts.paid(unit)
        return yield* finish(sent, first)
      }).pipe(Effect.tapError((error: RequestError) => {
        if (error._tag === "RejectedCommand" || error._tag === "PortGone") debts.paid(unit)
        return error._tag === "MalformedReply" || error._tag === "RejectedCommand" ? Effect.sleep(SETTLE) : Effect.void
      }))
    )
  }

  return {
    path,
    closed: Deferred.await(closed),
    fenceBy: (unitId, command) => void fences.set(unitId, command),
    askLine: (command, decode) =>
      exchange(
        command,
        lineMs,
        // A row of a table is never the answer to a poll: it is of a fence that was given up.
        (text) => isTableRow(text) || ofOwingUnit(text, command[0]!),
        (sent, line) =>
          Effect.map(Effect.fromResult(decode(line.bytes)), (value) => ({
            value,
            ...sent,
            receivedAt: line.at,
            receivedMonotonicNanos: line.monotonicNanos
          }))
      ),
    askTable: (command, decode) =>
      exchange(
        command,
        tableMs,
        (text) => ofOwingUnit(text, command[0]!),
        (_sent, first) => Effect.flatMap(restOfTable(), (rest) => Effect.fromResult(decode([first.bytes, ...rest])))
      ),
    owes: (unitId) => debts.has(unitId),
    settle: (unitId) => alone(settle(unitId)),
    isTalking: alone(
      Effect.andThen(awake(LISTEN_MS), Queue.size(lines)).pipe(
        Effect.map((waiting) => waiting > 0)
      )
    ),
    heardPushed: () => pushedHeard,
    tell: (command) => alone(Effect.asVoid(tell(command))),
    setBaud: (rate) => alone(Effect.mapError(transport.setBaud(rate), toPortGone)),
    stream: Effect.fnUntraced(function*(unitId) {
      if (streaming !== null) return yield* new PortStreams({ path, unitId: streaming })
      yield* Effect.acquireRelease(
        Effect.suspend(() => {
          streaming = unitId
          return inFlight.take(1)
        }),
        () =>
          Effect.suspend(() => {
            streaming = null
            return inFlight.release(1)
          })
      )
      const stop = Effect.repeat(tell(stopStreamingCommand(unitId)), { until: (isSilent) => isSilent, times: 3 })
      yield* Effect.addFinalizer(() => Effect.ignore(stop))
      return {
        start: Effect.andThen(stop, within(lineMs)(send(startStreamingCommand(unitId)))),
        next: Effect.tap(Queue.take(lines), ({ bytes }) => tellWire(() => `> ${quoteBytes(bytes)}`))
      }
    })
  }
})

/** A reading that a device sends by itself is never a reply: `@ +014.62 ...`, or a space in place of the `@`. */
const isPushed = (text: string): boolean => /^[@ ] *[-+]?\d/.test(text)

const portGone = (path: string, cause: Error | null): Cause.Cause<PortGone> =>
  Cause.fail(new PortGone({ path, ...(cause === null ? {} : { cause }) }))
