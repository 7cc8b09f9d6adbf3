'use strict';
// Development only: the installed v3 classes under the names of pip-services4-components-node 0.0.6, plus what v4 added.

const commons3 = require('pip-services3-commons-nodex');
const commons4 = require('pip-services4-commons-node');
const components3 = require('pip-services3-components-nodex');
const { ContextResolver, withV4Exceptions } = require('./v4');

class Context {
    constructor(values = null) {
        this._values = new commons4.AnyValueMap(values);
    }

    get(key) {
        return this._values.get(key);
    }

    static fromValue(value) {
        return new Context(value);
    }

    static fromTuples(...tuples) {
        return new Context(commons4.AnyValueMap.fromTuples(...tuples));
    }

    static fromConfig(config) {
        return new Context(config);
    }

    static fromTraceId(traceId) {
        return Context.fromTuples('trace_id', traceId);
    }
}

class References extends withV4Exceptions(commons3.References, 'find') {
    static fromTuples(...tuples) {
        return new References(tuples);
    }
}

class ReferenceException extends commons4.InternalException {
    constructor(context, locator) {
        super(ContextResolver.getTraceId(context), 'REF_ERROR', 'Failed to obtain reference to ' + locator);
        this.withDetails('locator', locator);
    }
}

class CreateException extends commons4.InternalException {
    constructor(traceId, messageOrLocator) {
        const isMessage = typeof messageOrLocator === 'string';
        const message = isMessage ? messageOrLocator : 'Requested component ' + messageOrLocator + ' cannot be created';
        super(traceId, 'CANNOT_CREATE', message);
        if (!isMessage && messageOrLocator != null) this.withDetails('locator', messageOrLocator);
    }
}

// Assigned one by one, so that Node finds the names for ESM imports, as in the real package.

// build
exports.CompositeFactory = withV4Exceptions(components3.CompositeFactory, 'create');
exports.CreateException = CreateException;
exports.Factory = withV4Exceptions(components3.Factory, 'create');

// config
exports.ConfigParams = commons3.ConfigParams;
exports.NameResolver = commons3.NameResolver;
exports.OptionResolver = commons3.OptionResolver;

// context
exports.Context = Context;
exports.ContextInfo = components3.ContextInfo;
exports.ContextResolver = ContextResolver;
exports.DefaultContextFactory = components3.DefaultInfoFactory;

// exec
exports.Parameters = commons3.Parameters;

// refer
exports.DependencyResolver = withV4Exceptions(commons3.DependencyResolver, 'find');
exports.Descriptor = commons3.Descriptor;
exports.Reference = commons3.Reference;
exports.ReferenceException = ReferenceException;
exports.Referencer = commons3.Referencer;
exports.References = References;

// run
exports.Closer = commons3.Closer;
exports.Opener = commons3.Opener;
