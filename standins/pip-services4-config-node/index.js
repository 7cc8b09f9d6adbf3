'use strict';
// Development only: the installed v3 classes under the names of pip-services4-config-node 0.0.6.

const components3 = require('pip-services3-components-nodex');
const { Descriptor, Factory } = require('pip-services4-components-node');
const { withV4Exceptions } = require('pip-services4-components-node/v4');

const JsonConfigReader = withV4Exceptions(components3.JsonConfigReader, 'readObject', 'readConfig');
const YamlConfigReader = withV4Exceptions(components3.YamlConfigReader, 'readObject', 'readConfig');
const { MemoryConfigReader, MemoryCredentialStore, MemoryDiscovery } = components3;

class DefaultConfigFactory extends Factory {
    constructor() {
        super();
        const register = (type, kind, component) =>
            this.registerAsType(new Descriptor('pip-services', type, kind, '*', '1.0'), component);
        register('config-reader', 'json', JsonConfigReader);
        register('config-reader', 'memory', MemoryConfigReader);
        register('config-reader', 'yaml', YamlConfigReader);
        register('credential-store', 'memory', MemoryCredentialStore);
        register('discovery', 'memory', MemoryDiscovery);
    }
}

// Assigned one by one, so that Node finds the names for ESM imports, as in the real package.

// auth
exports.CredentialParams = components3.CredentialParams;
exports.CredentialResolver = withV4Exceptions(components3.CredentialResolver, 'lookup');
exports.MemoryCredentialStore = MemoryCredentialStore;

// build
exports.DefaultConfigFactory = DefaultConfigFactory;

// config
exports.ConfigReader = components3.ConfigReader;
exports.FileConfigReader = components3.FileConfigReader;
exports.JsonConfigReader = JsonConfigReader;
exports.MemoryConfigReader = MemoryConfigReader;
exports.YamlConfigReader = YamlConfigReader;

// connect
exports.CompositeConnectionResolver = withV4Exceptions(components3.CompositeConnectionResolver, 'resolve', 'compose');
exports.ConnectionParams = components3.ConnectionParams;
exports.ConnectionResolver = withV4Exceptions(components3.ConnectionResolver, 'resolve', 'resolveAll', 'register');
exports.ConnectionUtils = components3.ConnectionUtils;
exports.MemoryDiscovery = MemoryDiscovery;
