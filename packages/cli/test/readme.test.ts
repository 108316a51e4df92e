/**
 * Every code block of every README is compiled and run, in a folder of its own, as someone would who pastes it. Ports are
 * replaced by simulated ones, and minutes by seconds.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import * as Simulator from "@sampleline/alicat/Simulator"
import { Effect, Layer, Redacted } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { BIN, run, tempFolder } from "./process.ts"

const ROOT = fileURLToPath(new URL("../../..", import.meta.url))

interface Block {
  readonly language: string
  readonly code: string
}

const blocksOf = (readme: string): ReadonlyArray<Block> =>
  [...fs.readFileSync(path.join(ROOT, readme), "utf8").matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(
    ([, language = "", code = ""]) => ({ language, code })
  )

const fileName = (code: string): string =>
  /^(?:\/\/|#) ([\w.-]+\.(?:ts|yaml))\n/.exec(code)?.[1] ?? assert.fail(`a block names no file:\n${code}`)

/** The block with ports, times and a database that a test can have. */
const adapted = (code: string, ports: ReadonlyArray<Simulator.SimulatedPort>, databaseUrl: string) =>
  code
    .replaceAll(/postgres:\/\/\S+/g, databaseUrl)
    .replaceAll(/\/dev\/ttyUSB(\d)/g, (tty: string, n: string) => ports[Number(n)]?.port ?? tty)
    .replaceAll(/\b(?:60|10)s\b/g, "1s")
    .replaceAll("60 seconds", "1 second")

const READMES = [
  "README.md",
  ...fs.readdirSync(path.join(ROOT, "packages")).map((name) => `packages/${name}/README.md`)
]

/** A README is many recordings one after the other, on a machine that may be busy with other things. */
const MINUTES = 600_000

const services = Layer.merge(NodeServices.layer, PostgresServer.layer)

it.layer(services, { excludeTestServices: true, timeout: "60 seconds" })("the code blocks", (it) => {
  it.effect.each(READMES)("of %s compile and run", (readme) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const ports = yield* Simulator.make({ devices: 2 })
      fs.symlinkSync(path.join(ROOT, "node_modules"), `${cwd}/node_modules`)
      fs.writeFileSync(`${cwd}/package.json`, "{ \"type\": \"module\" }")
      const server = yield* PostgresServer
      const database = yield* server.database
      const password = Redacted.value(server.password)
      const databaseUrl = `postgres://owner@127.0.0.1:${server.address.port}/${database}`
      const env = {
        ...process.env,
        PGPASSWORD: password,
        DATABASE_URL: databaseUrl.replace("@", `:${encodeURIComponent(password)}@`),
        PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"]}`
      }
      const expectSuccess = Effect.fnUntraced(function*(command: string, args: ReadonlyArray<string>, folder = cwd) {
        const result = yield* run(command, args, { cwd: folder, env })
        assert.strictEqual(result.code, 0, `${command} ${args.join(" ")}\n${result.stdout}\n${result.stderr}`)
        return result
      })

      const blocks = blocksOf(readme)
      assert.isAbove(blocks.length, 0)
      const programs = blocks.filter((block) => block.language === "ts").map(({ code }) => fileName(code))
      for (const { code, language } of blocks) {
        if (language === "ts" || language === "yaml") {
          fs.writeFileSync(`${cwd}/${fileName(code)}`, adapted(code, ports, databaseUrl))
        }
      }
      if (programs.length > 0) {
        fs.writeFileSync(
          `${cwd}/tsconfig.json`,
          JSON.stringify({
            extends: path.join(ROOT, "tsconfig.json"),
            compilerOptions: { typeRoots: ["node_modules/@types"] },
            include: [],
            files: programs
          })
        )
        yield* expectSuccess(process.execPath, [
          path.join(ROOT, "node_modules/typescript/bin/tsc"),
          "-p",
          "tsconfig.json"
        ])
      }
      for (const program of programs) {
        const args = program.endsWith(".test.ts")
          ? [path.join(ROOT, "node_modules/vitest/vitest.mjs"), "run", program]
          : [program]
        yield* expectSuccess(process.execPath, args)
      }
      for (
        const { code } of blocks.filter((block) => block.language === "sql")
      ) yield* server.query(database, code)
      for (const { code } of blocks.filter((block) => block.language === "sh")) {
        for (const line of code.trim().split("\n")) {
          if (line === "npm ci && npm test") continue // this very run
          if (line === "npm ci && npm run demo") {
            const demo = yield* expectSuccess("npm", ["run", "demo"], ROOT)
            for (
              const text of [
                "samples in ",
                "demo/run.csv: ",
                "demo/run.parquet: ",
                "\nsim1,A,",
                "by SQLite",
                "by DuckDB",
                "'sim2'"
              ]
            ) {
              assert.include(demo.stdout, text)
            }
          } else if (line.startsWith("npm run ")) {
            yield* expectSuccess("sh", [
              "-c",
              line.replace(/--seconds \d+/, "--seconds 1").replace(/--rounds \d+/, "--rounds 1 --scale 0.01")
            ], ROOT)
          } else {
            yield* expectSuccess("sh", [
              "-c",
              adapted(line, ports, databaseUrl).replace("npx sampleline", `"${process.execPath}" "${BIN}"`)
            ])
          }
        }
      }
      assert.deepStrictEqual(blocks.filter(({ language }) => !["ts", "sh", "sql", "yaml"].includes(language)), [])
      if (readme === "README.md") {
        const files = [
          "run.csv",
          "run.jsonl",
          "live.jsonl",
          "run.db",
          "run.parquet",
          "library.csv",
          "run.log",
          "bench.csv",
          "bench.db",
          "stream.csv",
          "some.csv"
        ]
        assert.deepStrictEqual(files.filter((file) => fs.statSync(`${cwd}/${file}`).size === 0), [])
        const [counts] = yield* server.query(
          database,
          "SELECT (SELECT count(*) FROM samples)::int AS samples, (SELECT count(*) FROM flows)::int AS flows"
        )
        assert.isAbove(counts!["samples"], 0)
        assert.isAbove(counts!["flows"], 0)
      }
    }), MINUTES)
})
