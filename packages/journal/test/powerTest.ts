/**
 * Cuts the power of recordings at random moments, resumes them, and counts what is lost, twice or out of order.
 *
 *     npm run power-test -- --cuts 30 --seed 1 --fsync always,interval
 *
 * Each recording is on a file system of its own (ext4), whose disk is simulated: it loses what was written to it and not flushed.
 * This needs root on Linux, with FUSE, loop devices and `mkfs.ext4`; elsewhere nothing is run. A cut that fails tells its seed and
 * keeps its folder. `--seed` with `--cuts 1` repeats it.
 */
import { Console, Effect, Random } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Outputs } from "./outputs.ts"
import { cutPower, describeCut, mounted, randomCut } from "./power.ts"
import * as PowerDisk from "./powerDisk.ts"

/** Set in the process that has mounts of its own. */
const INSIDE = "SAMPLELINE_POWER_TEST"
const IMAGE_BYTES = 1 << 26

const { values } = parseArgs({
  options: {
    cuts: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    parallel: { type: "string", default: "2" },
    fsync: { type: "string", default: "always,interval,never" },
    outputs: { type: "string" }
  }
})

/** What is missing to run this; null if nothing is. */
const missing = (): string | null => {
  if (process.platform !== "linux") return "it needs Linux"
  if (process.getuid?.() !== 0) return "it needs root"
  for (const device of ["/dev/fuse", "/dev/loop-control"]) if (!fs.existsSync(device)) return `it needs ${device}`
  if (spawnSync("mkfs.ext4", ["-V"]).status !== 0) return "it needs mkfs.ext4 (e2fsprogs)"
  return spawnSync("unshare", ["-m", "true"]).status === 0 ? null : "it may not mount here"
}

/** An empty file system in a file. */
const makeImage = Effect.fnUntraced(function*(file: string) {
  fs.writeFileSync(file, "")
  fs.truncateSync(file, IMAGE_BYTES)
  yield* PowerDisk.run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", file)
})

/** Dies unless a cut keeps what was forced to disk, and loses what was not. */
const control = Effect.fnUntraced(function*(folder: string, image: string) {
  const [file, left] = [path.join(folder, "control"), path.join(folder, "control.image")]
  fs.writeFileSync(file, "")
  const disk = yield* PowerDisk.make(image, file)
  const mount = yield* Effect.as(mounted(file, path.join(folder, "control.mount")), path.join(folder, "control.mount"))
  fs.writeFileSync(path.join(mount, "forced"), "forced", { flush: true })
  fs.writeFileSync(path.join(mount, "written"), "written")
  yield* disk.cut(left, 0, 0)
  const after = path.join(folder, "control.left")
  yield* mounted(left, after)
  const names = fs.readdirSync(after).filter((name) => name !== "lost+found").join(", ")
  if (names !== "forced" || fs.readFileSync(path.join(after, "forced"), "utf8") !== "forced") {
    return yield* Effect.die(new Error(`a cut does not do here what it should: it left "${names}"`))
  }
}, Effect.scoped)

const runOnce = Effect.fnUntraced(function*(seed: number, image: string, target: Parameters<typeof cutPower>[3]) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `power-${seed}-`))
  const cut = yield* Random.withSeed(randomCut, seed)
  const result = yield* cutPower(folder, image, cut, target)
  if (result.problems.length === 0) fs.rmSync(folder, { recursive: true })
  else {
    process.stderr.write(
      `\nfsync ${target.fsync}, seed ${seed} failed, cut ${describeCut(cut)}\n  ${
        result.problems.join("\n  ")
      }\n  what its disk held is in ${folder}\n`
    )
  }
  return result
})

const runAll = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "power-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  )
  const image = path.join(folder, "empty.image")
  yield* makeImage(image)
  yield* control(folder, image)
  const { href } = new URL("powerOutputs.ts", import.meta.url)
  const { outputs: all }: { readonly outputs: Outputs } = yield* Effect.promise(() => import(href))
  const names = values.outputs?.split(",") ?? Object.keys(all)
  const outputs = Object.fromEntries(names.map((name) => [name, all[name]!]))
  const cuts = Number(values.cuts)
  for (const fsync of values.fsync.split(",") as ReadonlyArray<"always" | "interval" | "never">) {
    let done = 0
    const results = yield* Effect.forEach(
      Array.from({ length: cuts }, (_, n) => Number(values.seed) + n),
      (seed) =>
        Effect.tap(
          runOnce(seed, image, { fsync, module: href, outputs }),
          () => Effect.sync(() => process.stderr.write(`\rfsync ${fsync}: ${++done} of ${cuts} cuts`))
        ),
      { concurrency: Number(values.parallel) }
    )
    process.stderr.write("\n")
    const failed = results.filter(({ problems }) => problems.length > 0).length
    const accepted = results.reduce((sum, { accepted }) => sum + accepted, 0)
    const lostMillis = Math.max(...results.map(({ lostMillis }) => lostMillis))
    const lost = lostMillis === 0 ? "0 lost" : `at most the last ${Math.round(lostMillis)} ms lost`
    yield* Console.log(
      `fsync ${fsync}: ${cuts} power cuts, ${accepted} samples accepted before, into ${names.join(", ")}: ${
        failed === 0 ? `${lost}, 0 twice, 0 out of order` : `${failed} cuts failed`
      }`
    )
    if (failed > 0) process.exitCode = 1
  }
}).pipe(Effect.scoped)

if (process.env[INSIDE] !== undefined) await Effect.runPromise(runAll)
else {
  const reason = missing()
  if (reason !== null) process.stdout.write(`not run: ${reason}\n`)
  else {
    // Its mounts go with it, however it ends.
    const args = ["-m", process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)]
    const env = { ...process.env, [INSIDE]: "1" }
    process.exitCode = spawnSync("unshare", args, { stdio: "inherit", env }).status ?? 1
  }
}
