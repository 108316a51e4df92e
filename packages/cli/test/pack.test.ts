/**
 * The packages as they are published: packed once, and installed once from the tarballs into an empty project.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { run, runWell, tempFolder } from "./process.ts"

const ROOT = fileURLToPath(new URL("../../..", import.meta.url))
const env = { ...process.env, PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"]}` }

const expectSuccess = (command: string, args: ReadonlyArray<string>, cwd: string) =>
  runWell(command, args, { cwd, env })

const NOT_COPIED = new Set(["node_modules", ".git", "dist", "demo"])

/** Copies the repository, because packing changes files in place. The dependencies are links to those here. */
const copyRepository = (folder: string) => {
  fs.cpSync(ROOT, folder, { recursive: true, filter: (file) => !NOT_COPIED.has(path.basename(file)) })
  fs.mkdirSync(`${folder}/node_modules/@sampleline`, { recursive: true })
  for (const name of fs.readdirSync(path.join(ROOT, "node_modules"))) {
    if (name === "@sampleline" || name === "sampleline") continue
    fs.symlinkSync(path.join(ROOT, "node_modules", name), `${folder}/node_modules/${name}`)
  }
  for (const library of FOLDERS.filter((name) => name !== "packages/cli")) {
    fs.symlinkSync(`${folder}/${library}`, `${folder}/node_modules/@sampleline/${path.basename(library)}`)
  }
}

const PROGRAM = `
import { MemorySink, pipeToSink, PollSource, Recorder } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { Journal } from "@sampleline/journal"
import { CsvSink } from "@sampleline/sinks/CsvSink"
import { Alicat } from "@sampleline/alicat"
import { open, runsOf } from "@sampleline/files"
import { LiveTable } from "@sampleline/view"
import { LiveView } from "@sampleline/view/LiveView"
import { Effect, Layer, Stream } from "effect"

const Oven = PollSource.layer({ devices: ["oven"], poll: () => Effect.succeed({ Temperature: 180.5 }) })
const source: Layer.Layer<PollSource, Alicat.AlicatError> = Alicat.layer({ devices: { fuel: { port: "/dev/ttyUSB0" } } })
const table = await Effect.runPromise(LiveTable.make())
const program = Recorder.record({ rateHz: 100, duration: "100 millis" }).pipe(LiveTable.observe(table), pipeToSink())
const durable = Recorder.record({ rateHz: 100, duration: "100 millis" }).pipe(Journal.pipeToSink())
await durable.pipe(Effect.provide([MemorySink.layer, Oven]), Effect.runPromise)
const summary = await program.pipe(Effect.provide([CsvSink.layer({ path: "oven.csv" }), Oven]), Effect.runPromise)
const events = await Effect.runPromise(Effect.scoped(Effect.flatMap(open("oven.csv"), ({ events }) => Stream.runCollect(events))))
const page = await Effect.runPromise(Effect.provide(
  Effect.flatMap(LiveView, ({ url }) => Effect.promise(() => fetch(url).then((reply) => reply.text()))),
  LiveView.layer({ port: 0 })
))
console.log(summary.sinks[0]?.rows === summary.samplesEmitted, Layer.isLayer(source), typeof conformance, MemorySink.key)
console.log(runsOf(events).length, page.startsWith("<!doctype html>"))
`

/** Opens each sink and prints what happens. Nothing listens on port 1. */
const OPENINGS = `
import { ParquetSink, PostgresSink } from "@sampleline/sinks"
import { Effect, Logger } from "effect"

const server = { host: "127.0.0.1", port: 1, user: "me" }
const openings = {
  parquet: ParquetSink.make({ path: "run.parquet" }),
  copy: PostgresSink.make(server),
  insert: PostgresSink.make({ ...server, useCopy: false })
}
for (const [name, make] of Object.entries(openings)) {
  const error = await Effect.runPromise(Effect.flip(Effect.scoped(make)).pipe(
    Effect.catch(() => Effect.succeed({ _tag: "opened", message: "" })),
    Effect.provide(Logger.layer([]))
  ))
  console.log(name, error._tag, error._tag === "SinkDependencyError" ? error.message : "")
}
`

const POSTGRES_PACKAGES = "@effect/sql-pg pg"

/** For each missing driver: the command that each opening names, or null if it does without. */
const MISSING = [
  { driver: "hyparquet-writer", parquet: "npm install hyparquet-writer", copy: null, insert: null },
  { driver: "pg", parquet: null, copy: `npm install ${POSTGRES_PACKAGES}`, insert: null },
  {
    driver: "@effect/sql-pg",
    parquet: null,
    copy: `npm install ${POSTGRES_PACKAGES}`,
    insert: "npm install @effect/sql-pg"
  }
]

const openingLine = (name: string, sink: string, present: string, driver: string, install: string | null) =>
  install === null
    ? `${name} ${present} `
    : `${name} SinkDependencyError ${sink} needs the package ${driver}, which is not installed: run \`${install}\``

const FOLDERS = ["core", "sqlite", "journal", "sinks", "alicat", "files", "view", "cli"].map((name) =>
  `packages/${name}`
)

class Installed extends Context.Service<Installed, {
  /** The copy of the repository that was packed. */
  readonly repository: string
  /** The project that has the tarballs installed. */
  readonly project: string
}>()("test/Installed") {
  static readonly layer = Layer.effect(
    Installed,
    Effect.gen(function*() {
      const repository = yield* tempFolder
      const project = yield* tempFolder
      copyRepository(repository)
      const workspaces = FOLDERS.flatMap((folder) => ["--workspace", folder])
      yield* expectSuccess("npm", ["pack", ...workspaces, "--pack-destination", project], repository)
      const tarballs = fs.readdirSync(project).filter((name) => name.endsWith(".tgz"))
      assert.strictEqual(tarballs.length, FOLDERS.length)

      fs.writeFileSync(`${project}/package.json`, JSON.stringify({ private: true, type: "module" }))
      yield* expectSuccess("npm", [
        "install",
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        "@effect/sql-pg",
        ...tarballs.map((name) => `./${name}`)
      ], project)
      return { repository, project }
    })
  )
}

/** Takes a package away from the project while the effect runs. */
const without = <A, E, R>(project: string, name: string, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => fs.renameSync(`${project}/node_modules/${name}`, `${project}/taken`)),
    () => effect,
    () => Effect.sync(() => fs.renameSync(`${project}/taken`, `${project}/node_modules/${name}`))
  )

const layer = Layer.provideMerge(Installed.layer, NodeServices.layer)

it.layer(layer, { excludeTestServices: true, timeout: "10 minutes" })("the packed packages", (it) => {
  it.effect("hold dist and a README, but no tests, and packing puts package.json back", () =>
    Effect.gen(function*() {
      const { project, repository } = yield* Installed
      for (const manifest of FOLDERS.map((folder) => `${folder}/package.json`)) {
        assert.strictEqual(
          fs.readFileSync(path.join(repository, manifest), "utf8"),
          fs.readFileSync(path.join(ROOT, manifest), "utf8"),
          "packing puts package.json back"
        )
      }
      const installed = fs.readdirSync(`${project}/node_modules/@sampleline/core`)
      assert.includeMembers(installed, ["dist", "package.json", "README.md"])
      assert.notInclude(installed, "test")
      assert.isTrue(fs.existsSync(`${project}/node_modules/@sampleline/core/dist/index.d.ts`))
    }))

  it.effect("work in an empty project: a program is type-checked and runs, and the command records", () =>
    Effect.gen(function*() {
      const { project } = yield* Installed
      fs.writeFileSync(`${project}/program.ts`, PROGRAM)
      fs.writeFileSync(
        `${project}/tsconfig.json`,
        JSON.stringify({
          compilerOptions: {
            target: "es2024",
            module: "nodenext",
            strict: true,
            skipLibCheck: false,
            noEmit: true,
            types: ["node"],
            typeRoots: [path.join(ROOT, "node_modules/@types")]
          },
          files: ["program.ts"]
        })
      )
      const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc")
      const [, { stdout }] = yield* Effect.all([
        expectSuccess(process.execPath, [tsc, "-p", "tsconfig.json"], project),
        expectSuccess(process.execPath, ["program.ts"], project),
        expectSuccess(
          `${project}/node_modules/.bin/sampleline`,
          ["record", "--simulate", "1", "--duration", "300ms", "--out", "run.parquet", "--out", "run.db"],
          project
        )
      ], { concurrency: "unbounded" })
      assert.include(stdout, "true true function @sampleline/core/MemorySink\n1 true\n")
      assert.strictEqual(fs.readFileSync(`${project}/run.parquet`).subarray(-4).toString(), "PAR1")
      fs.rmSync(`${project}/run.parquet`)
    }))

  it.effect("have everything that the command is written with built into it", () =>
    Effect.gen(function*() {
      const { project } = yield* Installed
      const bin = `${project}/node_modules/.bin/sampleline`
      const args = ["record", "--simulate", "1", "--duration", "300ms", "--out", "run.csv"]
      yield* without(project, "effect", expectSuccess(bin, args, project))
      assert.match(fs.readFileSync(`${project}/run.csv`, "utf8"), /^device,unit_id,.*\nsim1,A,/)
    }))

  it.effect.each(MISSING)(
    "name the command that installs $driver if it is missing",
    ({ copy, driver, insert, parquet }) =>
      Effect.gen(function*() {
        const { project } = yield* Installed
        fs.writeFileSync(`${project}/openings.ts`, OPENINGS)
        const { stdout } = yield* without(project, driver, expectSuccess(process.execPath, ["openings.ts"], project))
        assert.deepStrictEqual(
          stdout.trimEnd().split("\n"),
          [
            openingLine("parquet", "ParquetSink", "opened", driver, parquet),
            openingLine("copy", "PostgresSink", "SinkOpenError", driver, copy),
            openingLine("insert", "PostgresSink", "SinkOpenError", driver, insert)
          ].map((line, at) => at === 2 ? line.trimEnd() : line)
        )
      })
  )

  it.effect("name the command that installs serialport or @lydell/node-pty if it is missing", () =>
    Effect.gen(function*() {
      const { project } = yield* Installed
      const sampleline = (...args: ReadonlyArray<string>) =>
        run(`${project}/node_modules/.bin/sampleline`, args, { cwd: project, env })
      const withoutSerialport = yield* without(
        project,
        "serialport",
        sampleline("record", "--device", "fuel=/dev/ttyUSB0", "--out", "b.csv")
      )
      assert.strictEqual(withoutSerialport.code, 1)
      assert.strictEqual(
        withoutSerialport.stderr,
        "sampleline: the serial port /dev/ttyUSB0 needs the package serialport, which is not installed: run `npm install serialport`\n"
      )
      const withoutPty = yield* without(project, "@lydell", sampleline("simulate"))
      assert.include(withoutPty.stderr, "run `npm install @lydell/node-pty`")
      assert.isFalse(fs.existsSync(`${project}/b.csv`))
    }))
})
