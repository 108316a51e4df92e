/**
 * The lines that a port has received and no request has taken yet. If nobody takes them, the oldest are dropped.
 */
import { Cause, Deferred, Effect, Queue } from "effect"
import { TABLE_SILENCE_MS } from "./OutstandingReplies.ts"
import { PortGone } from "./RequestError.ts"
import { sleepAwake } from "./Timeouts.ts"
import { CR, LineSplitter } from "./wire/Framing.ts"
import { isPushedText } from "./wire/PollLine.ts"

/** A line, and when its last byte arrived. */
export interface Line {
  readonly bytes: Uint8Array
  /** Microseconds since the epoch. */
  readonly at: number
  readonly monotonicNanos: number
}

/** So many lines are read before a fiber has its turn, if a device streams while this process stands still. */
const MAX_WAITING = 10_000
/** Far more rows than any table has. A device that streams is never silent. */
const MAX_TABLE_ROWS = 200
/** With factory settings, a device that streams sends a line at least this often. */
export const LISTEN_MS = 60
/** A device that sends this many bytes without a pause is streaming. */
const MAX_DRAINED_BYTES = 256
/** So many moments in a row are no late replies: something talks all the time. */
const MOMENTS = 8
/** So many of the last bytes are kept to be told. */
const TOLD_BYTES = 40

export class ReceivedLines {
  private readonly queue: Queue.Queue<Line, PortGone>
  private readonly closedPort: Deferred.Deferred<void>
  /** Holds the start of a line that is not complete yet. */
  private readonly splitter = new LineSplitter()
  private pushed = false
  private last: Line | null = null
  private heard: Uint8Array | null = null
  private bytes = 0
  private tail: Uint8Array = new Uint8Array()
  private wholeLine = false

  private constructor(queue: Queue.Queue<Line, PortGone>, closedPort: Deferred.Deferred<void>) {
    this.queue = queue
    this.closedPort = closedPort
  }

  static readonly make: Effect.Effect<ReceivedLines> = Effect.gen(function*() {
    return new ReceivedLines(
      yield* Queue.make<Line, PortGone>({ capacity: MAX_WAITING, strategy: "sliding" }),
      yield* Deferred.make<void>()
    )
  })

  /** Returns when the port is gone. */
  get closed(): Effect.Effect<void> {
    return Deferred.await(this.closedPort)
  }

  get isClosed(): boolean {
    return Deferred.isDoneUnsafe(this.closedPort)
  }

  /** Whether a device has sent a reading by itself since the port was opened. */
  get heardPushed(): boolean {
    return this.pushed
  }

  /** The last line since a request was answered, also if it is not complete; null if nothing came. */
  get lastHeard(): Uint8Array | null {
    return this.splitter.incomplete ?? this.heard
  }

  /** The last bytes since the port was opened, as they came. */
  get lastBytes(): Uint8Array {
    return this.tail
  }

  /** Whether a whole line has come since the port was opened. */
  get heardLine(): boolean {
    return this.wholeLine
  }

  /** Bytes came in. Calls `isReply` with the text of each line that they complete. A line that is no reply is not queued. */
  receive(chunk: Uint8Array, at: number, monotonicNanos: number, isReply: (text: string) => boolean): void {
    this.bytes += chunk.length
    this.tail = chunk.slice(-TOLD_BYTES)
    const lines = this.splitter.push(chunk)
    this.wholeLine ||= lines.length > 0 && chunk.includes(CR)
    for (const bytes of lines) {
      const text = String.fromCharCode(...bytes)
      this.pushed ||= isPushedText(text)
      this.heard = bytes
      if (!isReply(text)) continue
      this.last = { bytes, at, monotonicNanos }
      Queue.offerUnsafe(this.queue, this.last)
    }
  }

  /** The port is gone. Lines that came before can still be taken. */
  close(path: string, cause: Error | null): void {
    Queue.failCauseUnsafe(this.queue, Cause.fail(new PortGone({ path, ...(cause === null ? {} : { cause }) })))
    Deferred.doneUnsafe(this.closedPort, Effect.void)
  }

  /** What came so far was the reply to a request. */
  answered(): void {
    this.heard = null
  }

  /** Throws away what has come so far. */
  get discard(): Effect.Effect<void, PortGone> {
    return Effect.andThen(
      Queue.clear(this.queue),
      Effect.sync(() => {
        this.heard = this.lastHeard
        this.splitter.reset()
      })
    )
  }

  /** Listens for a moment, and longer while something comes. Whether something comes in each moment. */
  get talks(): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function*() {
      for (let moment = 0; moment < MOMENTS; moment++) {
        const before = this.bytes
        yield* sleepAwake(LISTEN_MS)
        if (this.bytes === before) return false
      }
      return true
    })
  }

  /** The next line. */
  get take(): Effect.Effect<Line, PortGone> {
    return Queue.take(this.queue)
  }

  /** The last line that came, taken or not. */
  get lastLine(): Line | null {
    return this.last
  }

  /** The lines of a table that follow its first one. */
  get restOfTable(): Effect.Effect<ReadonlyArray<Uint8Array>, PortGone> {
    return this.moreRows(MAX_TABLE_ROWS)
  }

  /** The next lines of a table: so many, or fewer if it ends before. */
  moreRows(rows: number): Effect.Effect<ReadonlyArray<Uint8Array>, PortGone> {
    return Effect.gen({ self: this }, function*() {
      const rest: Array<Uint8Array> = []
      while (rest.length < rows) {
        const line = yield* this.takeWithin(TABLE_SILENCE_MS)
        if (line === null) break
        rest.push(line.bytes)
      }
      return rest
    })
  }

  /** Throws lines away until there is silence. False if there is none: a device streams. */
  get drain(): Effect.Effect<boolean, PortGone> {
    return Effect.gen({ self: this }, function*() {
      let bytes = 0
      while (bytes < MAX_DRAINED_BYTES) {
        const line = yield* this.takeWithin(LISTEN_MS)
        if (line === null) return true
        bytes += line.bytes.length
      }
      return false
    })
  }

  /** The next line, or null after this time. */
  private takeWithin(afterMs: number): Effect.Effect<Line | null, PortGone> {
    return Effect.raceFirst(this.take, Effect.as(sleepAwake(afterMs), null))
  }
}
