'use strict';
// Development only: the installed v3 container under the name of pip-services4-container-node 0.0.5, plus what v4 changed.

const components3 = require('pip-services3-components-nodex');
const container3 = require('pip-services3-container-nodex');
const { Context, ContextResolver, Descriptor, Factory } = require('pip-services4-components-node');

// As in v4, it asks the context for its trace id, and throws when that is a string.
class ConsoleLogger extends components3.ConsoleLogger {
    write(level, context, error, message) {
        super.write(level, ContextResolver.getTraceId(context), error, message);
    }
}

class LoggerFactory extends Factory {
    constructor() {
        super();
        this.registerAsType(new Descriptor('pip-services', 'logger', 'console', '*', '1.0'), ConsoleLogger);
    }
}

class Container extends container3.Container {
    constructor(name, description) {
        super(name, description);
        this.addFactory(new LoggerFactory());
    }
}

class ProcessContainer extends container3.ProcessContainer {
    constructor(name, description) {
        super(name, description);
        this._logger = new ConsoleLogger();
        this.addFactory(new LoggerFactory());
    }

    // v3 hands its components the name of the container as context.
    run(args) {
        if (this.showHelp(args)) return this.printHelp();
        const context = Context.fromTraceId(this._info.name);
        this.readConfigFromFile(context, this.getConfigPath(args), this.getParameters(args));
        this.captureErrors(context);
        this.captureExit(context);
        void this.open(context);
    }
}

// Assigned one by one, so that Node finds the names for ESM imports, as in the real package.
exports.Container = Container;
exports.ProcessContainer = ProcessContainer;
