/**
 * A disk that loses power: `node powerDisk.ts IMAGE FILE`. It serves the image as the file, over FUSE, for a loop device.
 *
 * It has a write cache, as disks have: what was written since the last flush may be lost. `cut` gives what would be left: what was
 * flushed, and some of the sectors behind it, in no order. The disk itself goes on.
 *
 * The kernel's protocol is that of linux/fuse.h. The file is the root of its file system, so that there are no names.
 */
import { Effect, Random } from "effect"
import { type ChildProcess, execFile, fork, spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"

/** A disk in a process of its own. */
interface PowerDisk {
  /** Writes what a power cut leaves at this moment to a file. `kept`: the share of the unflushed sectors that reach the medium. */
  readonly cut: (image: string, seed: number, kept: number) => Effect.Effect<void>
}

interface Cut {
  readonly image: string
  readonly seed: number
  readonly kept: number
}

/** Serves a copy of an image as a file, which must exist. The scope ends it; unmount what stands on it before. */
export const make = Effect.fnUntraced(function*(image: string, file: string) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(fileURLToPath(import.meta.url), [image, file], { stdio: ["ignore", 2, 2, "ipc"] })),
    (child) => Effect.andThen(run("umount", "--lazy", file), Effect.sync(() => child.kill("SIGKILL")))
  )
  yield* answer(child)
  const cut: PowerDisk["cut"] = (image, seed, kept) =>
    Effect.suspend(() => {
      const done = answer(child)
      child.send({ image, seed, kept } satisfies Cut)
      return done
    })
  return { cut } satisfies PowerDisk
})

const answer = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const onExit = (code: number | null) => resume(Effect.die(new Error(`the disk ended with ${code}`)))
    child.once("exit", onExit)
    child.once("message", () => {
      child.off("exit", onExit)
      resume(Effect.void)
    })
  })

/** Runs a command to its end. Dies if it fails. */
export const run = (command: string, ...args: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    execFile(command, args, (error) => resume(error ? Effect.die(error) : Effect.void))
  })

const SECTOR = 512

/** What is on the medium, and what the cache holds beside it. */
class Medium {
  /** As the kernel reads it. */
  readonly cached: Buffer
  private readonly flushed: Buffer
  /** Since the last flush, in their order. */
  private written: Array<{ readonly at: number; readonly bytes: Buffer }> = []

  constructor(image: Buffer) {
    this.cached = image
    this.flushed = Buffer.from(image)
  }

  write(at: number, bytes: Buffer): void {
    bytes.copy(this.cached, at)
    this.written.push({ at, bytes: Buffer.from(bytes) })
  }

  flush(): void {
    for (const { at, bytes } of this.written) bytes.copy(this.flushed, at)
    this.written = []
  }

  /** What is left when the power goes. */
  afterCut(isKept: () => boolean): Buffer {
    const left = Buffer.from(this.flushed)
    for (const { at, bytes } of this.written) {
      for (let sector = 0; sector < bytes.length; sector += SECTOR) {
        if (isKept()) bytes.copy(left, at + sector, sector, sector + SECTOR)
      }
    }
    return left
  }
}

const [GETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH, INIT] = [3, 14, 15, 16, 18, 20, 25, 26]
/** These get no answer. */
const [FORGET, INTERRUPT] = [2, 36]
const NOT_IMPLEMENTED = -38
const HEADER = 40
const MAX_WRITE = 1 << 17
/** Reads and writes come as they are made: the kernel keeps no pages of this file. */
const DIRECT_IO = 1
const BIG_WRITES = 1 << 5

/** The answer to a request of the kernel; null if it is unknown. */
const reply = (medium: Medium, opcode: number, body: Buffer): Buffer | null => {
  const offset = () => Number(body.readBigUInt64LE(8))
  switch (opcode) {
    case INIT: {
      const out = Buffer.alloc(64)
      out.writeUInt32LE(7, 0)
      out.writeUInt32LE(31, 4)
      out.writeUInt32LE(BIG_WRITES, 12)
      out.writeUInt32LE(MAX_WRITE, 20)
      return out
    }
    case GETATTR: {
      const out = Buffer.alloc(104)
      out.writeBigUInt64LE(1n, 16)
      out.writeBigUInt64LE(BigInt(medium.cached.length), 24)
      out.writeUInt32LE(fs.constants.S_IFREG | 0o600, 76)
      out.writeUInt32LE(1, 80)
      return out
    }
    case OPEN: {
      const out = Buffer.alloc(16)
      out.writeUInt32LE(DIRECT_IO, 8)
      return out
    }
    case READ:
      return medium.cached.subarray(offset(), offset() + body.readUInt32LE(16))
    case WRITE: {
      const size = body.readUInt32LE(16)
      medium.write(offset(), body.subarray(HEADER, HEADER + size))
      const out = Buffer.alloc(8)
      out.writeUInt32LE(size, 0)
      return out
    }
    case FSYNC:
      medium.flush()
      return Buffer.alloc(0)
    case FLUSH:
    case RELEASE:
      return Buffer.alloc(0)
    default:
      return null
  }
}

/** Answers the kernel until the file is unmounted. */
const serve = (device: number, medium: Medium): void => {
  const request = Buffer.alloc(MAX_WRITE + 4096)
  fs.read(device, request, 0, request.length, null, (error, length) => {
    if (error?.code === "ENODEV") process.exit()
    if (error) throw error
    const opcode = request.readUInt32LE(4)
    if (opcode !== FORGET && opcode !== INTERRUPT) {
      const body = reply(medium, opcode, request.subarray(HEADER, length))
      const header = Buffer.alloc(16)
      header.writeUInt32LE(16 + (body?.length ?? 0), 0)
      header.writeInt32LE(body === null ? NOT_IMPLEMENTED : 0, 4)
      request.copy(header, 8, 8, 16)
      // It fails if the kernel has given up the request, as it does when the process that waits is killed.
      fs.writev(device, [header, ...(body === null || body.length === 0 ? [] : [body])], () => serve(device, medium))
    } else serve(device, medium)
  })
}

if (import.meta.main) {
  const [image = "", file = ""] = process.argv.slice(2)
  const device = fs.openSync("/dev/fuse", "r+")
  const medium = new Medium(fs.readFileSync(image))
  // It is the process that mounts that has the descriptor by this number.
  const options = `fd=3,rootmode=${fs.constants.S_IFREG.toString(8)},user_id=0,group_id=0`
  spawn("mount", ["-i", "-t", "fuse", "-o", options, "powerDisk", file], { stdio: ["ignore", 2, 2, device] })
    .on("close", (code) => {
      if (code !== 0) process.exit(1)
      serve(device, medium)
      process.send?.("mounted")
    })
  process.on("message", ({ image, kept, seed }: Cut) => {
    const isKept = Effect.runSync(Random.withSeed(
      Effect.map(Random.Random, (random) => () => random.nextDoubleUnsafe() < kept),
      seed
    ))
    fs.writeFileSync(image, medium.afterCut(isKept))
    process.send?.("cut")
  })
}
