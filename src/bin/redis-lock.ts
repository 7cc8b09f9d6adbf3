#!/usr/bin/env node
import { main } from './program';

if (require.main === module) {
    // Hides the command line, where a password may be, from a list of processes.
    process.title = 'redis-lock';
    // The reader, such as head, has closed its end.
    process.stdout.on('error', () => process.exit());
    void main(process.argv.slice(2)).then((code) => (process.exitCode = code));
}
