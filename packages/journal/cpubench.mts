import { PollSource, Recorder, pipeToSink } from "@sampleline/core"
import { CsvSink } from "@sampleline/sinks/CsvSink"
import { Effect, Layer, Logger } from "effect"
import { Journal } from "./src/index.ts"
import * as fs from "node:fs"
const [mode, secs="10"] = process.argv.slice(2)
const Devices = PollSource.layer({ devices: Array.from({length:10},(_, n)=>`d${n}`), poll: () => Effect.succeed({ Pressure: 14.7, Temperature: 25.1, Volumetric_Flow: 3.2, Mass_Flow: Math.random(), Setpoint: 5, Gas: "N2" }) })
fs.rmSync("/tmp/cpub",{recursive:true,force:true}); fs.mkdirSync("/tmp/cpub")
const sink = CsvSink.layer({ path: "/tmp/cpub/run.csv" })
let c0: NodeJS.CpuUsage
setTimeout(()=>{c0=process.cpuUsage()},3000)
setTimeout(()=>{const c=process.cpuUsage(c0);console.log(mode,((c.user+c.system)/1e4/(Number(secs)-4)).toFixed(2)+"% of a core", (process.memoryUsage().rss/2**20).toFixed(0)+" MiB")},(Number(secs)-1)*1000)
const s = await Recorder.record({ rateHz: 100, duration: `${Number(secs)} seconds` }).pipe(
  mode === "journal" ? Journal.pipeToSink({ path: "/tmp/cpub/run.journal" }) : pipeToSink(),
  Effect.provide([Layer.provide(sink, Logger.layer([])), Devices]), Effect.runPromise)
console.log(s.ticks, s.ticksSkipped, s.maxDriftMs.toFixed(1))
