/**
 * One module a sink; each can be imported by itself, as `@sampleline/sinks/CsvSink`.
 */
export { CsvSink, type CsvSinkOptions } from "./CsvSink.ts"
export { JsonlSink, type JsonlSinkOptions, type StdoutOptions } from "./JsonlSink.ts"
export { SqliteSink, type SqliteSinkOptions } from "./SqliteSink.ts"
