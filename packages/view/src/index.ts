/**
 * A recording, seen while it goes on.
 */
export * as AlarmCommand from "./AlarmCommand.ts"
export * as AlarmExpression from "./AlarmExpression.ts"
export * as Alarms from "./Alarms.ts"
