/**
 * Every code block of every README is compiled and run as a reader would paste it. Each README has a folder, simulated ports and a
 * database of its own. Ports are replaced by the simulated ones, and minutes by seconds.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import * as Simulator from "@sampleline/alicat/Simulator"
import { Effect, Layer, Redacted } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { BIN, runWell, tempFolder } from "./process.ts"
import { blocksOf, ROOT } from "./readmes.ts"

const fileName = (code: string): string =>
  /^(?:\/\/|#) ([\w.-]+\.(?:ts|yaml))\n/.exec(code)?.[1] ?? assert.fail(`a block names no file:\n${code}`)

/** The block with the test's ports and database, and with shorter times. */
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

/** What the blocks of a README leave behind: files with content, and tables with rows. */
const RESULTS: { readonly [readme: string]: { readonly files: ReadonlyArray<string>; readonly table?: string } } = {
  "README.md": { files: ["run.csv", "run.db", "library.csv"] },
  "packages/cli/README.md": {
    files: [
      "try.csv",
      "run.csv",
      "run.jsonl",
      "live.jsonl",
      "run.db",
      "run.parquet",
      "bench.csv",
      "bench.db",
      "stream.csv",
      "some.csv",
      "watched.csv",
      "warned.csv",
      "alarms.txt",
      "viewed.csv",
      "lab.csv",
      "lab.db"
    ],
    table: "samples"
  },
  "packages/core/README.md": { files: ["run.log"] },
  "packages/view/README.md": { files: ["table.csv", "page.csv"] },
  "packages/sinks/README.md": { files: ["oven.csv", "oven.jsonl", "oven.db", "oven.parquet"], table: "flows" }
}

/** A README is many recordings, and the machine may be busy. */
const MINUTES = 600_000

const { scripts } = JSON.parse(fs.readFileSync(path.join(ROOT, "package.json"), "utf8"))

/** What a line with `npm run` runs. It does not build the command anew, because other tests run that at this time. */
const scriptOf = (line: string): string => {
  const [, name = "", args = ""] = /^npm run (\S+)(?: --(?= )(.*))?$/.exec(line) ?? assert.fail(line)
  assert.property(scripts, name)
  return scripts[name].replace("npm run build && ", "") + args
}

/** Lets the programs of a folder import our packages. */
const haveOurPackages = (folder: string) => {
  fs.symlinkSync(path.join(ROOT, "node_modules"), `${folder}/node_modules`)
  fs.writeFileSync(`${folder}/package.json`, "{ \"type\": \"module\" }")
}

const services = Layer.merge(NodeServices.layer, PostgresServer.layer)

const inParallel = { excludeTestServices: true, concurrent: true, timeout: "60 seconds" } as const

it.layer(services, inParallel)("the code blocks", (it) => {
  it.effect("compile", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      haveOurPackages(cwd)
      const files = READMES.flatMap((readme) => {
        const folder = path.join(cwd, path.dirname(readme))
        fs.mkdirSync(folder, { recursive: true })
        return blocksOf(readme).filter((block) => block.language === "ts").map(({ code }) => {
          const file = path.join(folder, fileName(code))
          fs.writeFileSync(file, code)
          return file
        })
      })
      fs.writeFileSync(
        `${cwd}/tsconfig.json`,
        JSON.stringify({
          extends: path.join(ROOT, "tsconfig.json"),
          compilerOptions: { typeRoots: ["node_modules/@types"] },
          include: [],
          files
        })
      )
      yield* runWell(process.execPath, [path.join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "."], { cwd })
    }))

  it.effect.each(READMES)("of %s run", (readme) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const ports = yield* Simulator.make({ devices: 2 })
      haveOurPackages(cwd)
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
      const expectSuccess = (command: string, args: ReadonlyArray<string>, folder = cwd) =>
        runWell(command, args, { cwd: folder, env })

      const blocks = blocksOf(readme)
      assert.isAbove(blocks.length, 0)
      for (const { code, language } of blocks) {
        if (language === "ts" || language === "yaml") {
          fs.writeFileSync(`${cwd}/${fileName(code)}`, adapted(code, ports, databaseUrl))
        }
      }
      for (const { code } of blocks.filter((block) => block.language === "ts")) {
        const program = fileName(code)
        const args = program.endsWith(".test.ts")
          ? [path.join(ROOT, "node_modules/vitest/vitest.mjs"), "run", program]
          : [program]
        yield* expectSuccess(process.execPath, args)
      }
      for (const { code } of blocks.filter((block) => block.language === "sql")) {
        if (/^-- (?:holes|devices|ends|marks|alarms|DuckDB: .*)\n/.test(code)) continue // holes.test.ts asks them of every output
        if (code.startsWith("-- bench.db\n")) continue // unattended.test.ts asks it
        const file = /^-- ([\w.-]+\.db)\n/.exec(code)?.[1]
        if (file === undefined) yield* server.query(database, code)
        else new DatabaseSync(`${cwd}/${file}`, { readOnly: true }).prepare(code).all()
      }
      for (const { code } of blocks.filter((block) => block.language === "sh")) {
        for (const line of code.trim().split("\n")) {
          if (line === "npm ci && npm test") continue // that is what runs now
          if (line.startsWith("jq ")) continue // holes.test.ts asks these too
          if (line === "npm ci && npm run demo") {
            const demo = yield* expectSuccess("sh", ["-c", scriptOf("npm run demo")], ROOT)
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
              scriptOf(
                line.replace(/--seconds \d+/, "--seconds 1").replace(
                  /(?<=npm run bench -- .*)--rounds \d+/,
                  "--rounds 1 --scale 0.01"
                )
              )
            ], ROOT)
          } else {
            yield* expectSuccess("sh", [
              "-c",
              adapted(line, ports, databaseUrl).replace("npx sampleline", `"${process.execPath}" "${BIN}"`)
            ])
          }
        }
      }
      const shown = ["ts", "sh", "sql", "yaml", "ini", "text"]
      assert.deepStrictEqual(blocks.filter(({ language }) => !shown.includes(language)), [])
      const { files = [], table } = RESULTS[readme] ?? {}
      assert.deepStrictEqual(files.filter((file) => fs.statSync(`${cwd}/${file}`).size === 0), [])
      if (table !== undefined) {
        const [counts] = yield* server.query(database, `SELECT count(*)::int AS rows FROM ${table}`)
        assert.isAbove(counts!["rows"], 0)
      }
    }), MINUTES)
})

it("a sink of one's own stays under fifteen lines, and takes two more for events", () => {
  const linesOf = (file: string) =>
    blocksOf("packages/core/README.md").find(({ code }) => code.startsWith(`// ${file}\n`))!.code.trim().split("\n")
  const plain = linesOf("log-sink.ts")
  const withEvents = linesOf("event-sink.ts")
  assert.isBelow(plain.length, 15)
  assert.strictEqual(withEvents.length, plain.length + 2)
  assert.strictEqual(withEvents.filter((line) => line.startsWith("  event: ")).length, 1)
})

/** As GitHub makes them of headings. */
const anchorsOf = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")
  )

it.each(READMES)("the links and pictures of %s lead to files and headings that exist", (readme) => {
  const folder = path.dirname(path.join(ROOT, readme))
  for (const [, link = ""] of fs.readFileSync(path.join(ROOT, readme), "utf8").matchAll(/\]\(([^)\s]+)\)/g)) {
    if (link.startsWith("https://")) continue
    const [file = "", anchor] = link.split("#")
    const target = file === "" ? path.join(ROOT, readme) : path.join(folder, file)
    assert.isTrue(fs.existsSync(target), link)
    if (anchor !== undefined) assert.include(anchorsOf(fs.readFileSync(target, "utf8")), anchor)
  }
})
