/**
 * The packages as they would be published: packed, installed into an empty project from their tarballs, type-checked against
 * by a small program, and run.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { run, tempFolder } from "./process.ts"

const ROOT = fileURLToPath(new URL("../../..", import.meta.url))
const env = { ...process.env, PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"]}` }

const expectSuccess = Effect.fnUntraced(function*(command: string, args: ReadonlyArray<string>, cwd: string) {
  const result = yield* run(command, args, { cwd, env })
  assert.strictEqual(result.code, 0, `${command} ${args.join(" ")}\n${result.stdout}\n${result.stderr}`)
  return result
})

const NOT_COPIED = new Set(["node_modules", ".git", "dist", "demo"])

/** A copy of the repository, with the dependencies that are installed here; packing changes files in place. */
const copyRepository = (folder: string) => {
  fs.cpSync(ROOT, folder, { recursive: true, filter: (file) => !NOT_COPIED.has(path.basename(file)) })
  fs.mkdirSync(`${folder}/node_modules/@sampleline`, { recursive: true })
  for (const name of fs.readdirSync(path.join(ROOT, "node_modules"))) {
    if (name === "@sampleline" || name === "sampleline") continue
    fs.symlinkSync(path.join(ROOT, "node_modules", name), `${folder}/node_modules/${name}`)
  }
  for (const name of ["core", "sqlite", "sinks", "alicat"]) {
    fs.symlinkSync(`${folder}/packages/${name}`, `${folder}/node_modules/@sampleline/${name}`)
  }
}

const PROGRAM = `
import { MemorySink, pipeToSink, PollSource, Recorder } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { CsvSink } from "@sampleline/sinks/CsvSink"
import { Alicat } from "@sampleline/alicat"
import { Effect, Layer } from "effect"

const Oven = PollSource.layer({ devices: ["oven"], poll: () => Effect.succeed({ Temperature: 180.5 }) })
const source: Layer.Layer<PollSource, Alicat.AlicatError> = Alicat.layer({ devices: { fuel: { port: "/dev/ttyUSB0" } } })
const program = Recorder.record({ rateHz: 100, duration: "100 millis" }).pipe(pipeToSink())
const summary = await program.pipe(Effect.provide([CsvSink.layer({ path: "oven.csv" }), Oven]), Effect.runPromise)
console.log(summary.sinks[0]?.rows === summary.samplesEmitted, Layer.isLayer(source), typeof conformance, MemorySink.key)
`

/** What opening each sink comes to where a driver is missing. Nothing listens on port 1. */
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

const POSTGRES_PACKAGES = "@effect/sql-pg pg pg-copy-streams"

/** With which drivers taken away which opening needs what. */
const MISSING = [
  { driver: "hyparquet-writer", parquet: "npm install hyparquet-writer", copy: null, insert: null },
  { driver: "pg", parquet: null, copy: `npm install ${POSTGRES_PACKAGES}`, insert: null },
  { driver: "pg-copy-streams", parquet: null, copy: `npm install ${POSTGRES_PACKAGES}`, insert: null },
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

it.layer(NodeServices.layer, { excludeTestServices: true })("the packed packages", (it) => {
  it.effect(
    "work in an empty project, and name the command that installs a missing driver",
    () =>
      Effect.gen(function*() {
        const copy = yield* tempFolder
        const project = yield* tempFolder
        copyRepository(copy)
        const folders = ["core", "sqlite", "sinks", "alicat", "cli"].map((name) => `packages/${name}`)
        const manifests = folders.map((folder) => `${folder}/package.json`)
        const workspaces = folders.flatMap((folder) => ["--workspace", folder])
        yield* expectSuccess("npm", ["pack", ...workspaces, "--pack-destination", project], copy)
        for (const manifest of manifests) {
          assert.strictEqual(
            fs.readFileSync(path.join(copy, manifest), "utf8"),
            fs.readFileSync(path.join(ROOT, manifest), "utf8"),
            "packing puts package.json back"
          )
        }
        const tarballs = fs.readdirSync(project).filter((name) => name.endsWith(".tgz"))
        assert.deepStrictEqual(tarballs.length, 5)

        fs.writeFileSync(`${project}/package.json`, JSON.stringify({ private: true, type: "module" }))
        yield* expectSuccess("npm", [
          "install",
          "--prefer-offline",
          "--no-audit",
          "--no-fund",
          "@effect/sql-pg",
          ...tarballs.map((name) => `./${name}`)
        ], project)
        const installed = fs.readdirSync(`${project}/node_modules/@sampleline/core`)
        assert.includeMembers(installed, ["dist", "package.json", "README.md"])
        assert.notInclude(installed, "test")
        assert.isTrue(fs.existsSync(`${project}/node_modules/@sampleline/core/dist/index.d.ts`))

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
        yield* expectSuccess(process.execPath, [
          path.join(ROOT, "node_modules/typescript/bin/tsc"),
          "-p",
          "tsconfig.json"
        ], project)
        const { stdout } = yield* expectSuccess(process.execPath, ["program.ts"], project)
        assert.include(stdout, "true true function @sampleline/core/MemorySink")

        const bin = `${project}/node_modules/.bin/sampleline`
        // What the command is written with is built into it.
        fs.renameSync(`${project}/node_modules/effect`, `${project}/taken`)
        yield* expectSuccess(bin, ["record", "--simulate", "1", "--duration", "300ms", "--out", "run.csv"], project)
        assert.match(fs.readFileSync(`${project}/run.csv`, "utf8"), /^device,unit_id,.*\nsim1,A,/)
        fs.renameSync(`${project}/taken`, `${project}/node_modules/effect`)

        yield* expectSuccess(
          bin,
          ["record", "--simulate", "1", "--duration", "300ms", "--out", "run.parquet", "--out", "run.db"],
          project
        )
        assert.strictEqual(fs.readFileSync(`${project}/run.parquet`).subarray(-4).toString(), "PAR1")
        fs.rmSync(`${project}/run.parquet`)

        fs.writeFileSync(`${project}/openings.ts`, OPENINGS)
        for (const { copy, driver, insert, parquet } of MISSING) {
          const there = `${project}/node_modules/${driver}`
          fs.renameSync(there, `${project}/taken`)
          const { stdout } = yield* expectSuccess(process.execPath, ["openings.ts"], project)
          fs.renameSync(`${project}/taken`, there)
          assert.deepStrictEqual(
            stdout.trimEnd().split("\n"),
            [
              openingLine("parquet", "ParquetSink", "opened", driver, parquet),
              openingLine("copy", "PostgresSink", "SinkOpenError", driver, copy),
              openingLine("insert", "PostgresSink", "SinkOpenError", driver, insert)
            ].map((line, at) => at === 2 ? line.trimEnd() : line)
          )
        }

        fs.rmSync(`${project}/node_modules/serialport`, { recursive: true })
        const withoutSerialport = yield* run(bin, ["record", "--device", "fuel=/dev/ttyUSB0", "--out", "b.csv"], {
          cwd: project,
          env
        })
        assert.strictEqual(withoutSerialport.code, 1)
        assert.strictEqual(
          withoutSerialport.stderr,
          "sampleline: the serial port /dev/ttyUSB0 needs the package serialport, which is not installed: run `npm install serialport`\n"
        )
        fs.rmSync(`${project}/node_modules/@lydell`, { recursive: true })
        const withoutPty = yield* run(bin, ["simulate"], { cwd: project, env })
        assert.include(withoutPty.stderr, "run `npm install @lydell/node-pty`")
        assert.isFalse(fs.existsSync(`${project}/b.csv`))
      }),
    600_000
  )
})
