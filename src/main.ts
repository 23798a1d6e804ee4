#!/usr/bin/env node
import { runCommand } from './cli/program.js'

await runCommand(process.argv.slice(2), process)
// A failed store may leave timers and sockets behind, which would keep the process for seconds.
if (process.exitCode) process.exit()
