/**
 * Notices that an open file has lost its name: the file was moved or removed, or another file has taken its place. Without this a
 * recorder writes for days to a file that nobody finds.
 *
 * Names are only looked at, by calls that do not hold up the program if a network disk hangs.
 */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { Disk } from "./OutputFile.ts"

/** How often a recorder looks at the names of its files. */
export const LOOK_INTERVAL = "1 second"

/** A name that cannot be looked at in this time is left alone. */
const LOOK_TIMEOUT = "5 seconds"

export interface FileId {
  readonly dev: bigint
  readonly ino: bigint
}

/** A file has lost its name. */
export interface NameLost {
  /** Where it is now; null if it was removed or is not found. */
  readonly movedTo: string | null
}

export class NameWatch {
  /** Samples that were written since the last look that found the file under its name. */
  unseen = 0
  private readonly path: string
  private readonly disk: Disk
  private readonly id: Effect.Effect<FileId, NodeJS.ErrnoException>
  /** Calls that have not been answered. One that hangs holds a thread of the pool, so there is never a second one. */
  private unanswered = 0

  /** `id` gives the open file. It is asked each time: some network disks change it. */
  constructor(path: string, id: Effect.Effect<FileId, NodeJS.ErrnoException>) {
    this.path = path
    this.disk = new Disk(path)
    this.id = id
  }

  /** Null if the file still has its name, or if this cannot be found out. */
  readonly look: Effect.Effect<NameLost | null> = Effect.suspend(() => {
    const samples = this.unseen
    if (this.unanswered > 0) return Effect.succeed(null)
    return Effect.gen({ self: this }, function*() {
      const named = yield* this.named
      const open = yield* this.id
      if (named === null || !isSame(named, open)) {
        // Nobody has moved a file whose disk is away.
        yield* Effect.try(() => this.disk.expect())
        return { movedTo: yield* newNameOf(this.path, open) }
      }
      this.unseen -= samples
      return null
    }).pipe(
      Effect.interruptible,
      Effect.timeout(LOOK_TIMEOUT),
      Effect.orElseSucceed(() => null)
    )
  })

  private readonly named = Effect.suspend(() => {
    this.unanswered++
    return nameOf(this.path, () => this.unanswered--)
  })
}

/** Runs `then` once if the file loses its name before the scope closes. */
export const onNameLost = Effect.fnUntraced(function*(
  watch: NameWatch,
  then: (lost: NameLost) => Effect.Effect<void>
): Effect.fn.Return<void, never, Scope.Scope> {
  let isOver = false
  const look = Effect.flatMap(Effect.suspend(() => watch.look), (lost) => {
    if (lost === null || isOver) return Effect.void
    isOver = true
    return then(lost)
  })
  yield* Effect.sleep(LOOK_INTERVAL).pipe(
    Effect.andThen(look),
    Effect.repeat({ until: () => isOver }),
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() => look)
})

const isSame = (a: FileId, b: FileId): boolean => a.ino === b.ino && a.dev === b.dev

/** The file that an open descriptor leads to. */
export const idOf = (fd: number): Effect.Effect<FileId, NodeJS.ErrnoException> =>
  call((done) => fs.fstat(fd, { bigint: true }, done))

/** The file that has a name now; null if the name is free. `answered` is called even if nobody waits for it any more. */
const nameOf = (path: string, answered = () => {}): Effect.Effect<FileId | null, NodeJS.ErrnoException> =>
  Effect.catchIf(
    call<fs.BigIntStats>((done) =>
      fs.stat(path, { bigint: true }, (error, stats) => {
        answered()
        done(error, stats)
      })
    ),
    ({ code }) => code === "ENOENT" || code === "ENOTDIR",
    () => Effect.succeed(null)
  )

/** Linux tells the name of each open file. Elsewhere the file is searched for in its folder. */
const newNameOf = (path: string, file: FileId): Effect.Effect<string | null> =>
  Effect.orElseSucceed(
    process.platform === "linux" ? openNameOf(file) : nameIn(nodePath.dirname(path), file),
    () => null
  )

const OPEN_FILES = "/proc/self/fd"

const openNameOf = Effect.fnUntraced(function*(file: FileId) {
  const descriptor = yield* nameIn(OPEN_FILES, file)
  if (descriptor === null) return null
  const name = yield* call<string>((done) => fs.readlink(descriptor, done))
  const named = yield* nameOf(name)
  // A removed file has " (deleted)" behind its name.
  return named !== null && isSame(named, file) ? name : null
})

/** The path of a file in a folder; null if it is not there. */
const nameIn = Effect.fnUntraced(function*(folder: string, file: FileId) {
  const names = yield* call<Array<string>>((done) => fs.readdir(folder, done))
  for (const name of names) {
    const path = nodePath.join(folder, name)
    const named = yield* Effect.orElseSucceed(nameOf(path), () => null)
    if (named !== null && isSame(named, file)) return path
  }
  return null
})

const call = <A>(run: (done: (error: NodeJS.ErrnoException | null, value: A) => void) => void) =>
  Effect.callback<A, NodeJS.ErrnoException>((resume) =>
    run((error, value) => resume(error ? Effect.fail(error) : Effect.succeed(value)))
  )
