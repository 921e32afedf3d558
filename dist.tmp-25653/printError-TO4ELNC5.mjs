import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{b as a,c as b}from"./chunk-JOA7T4FQ.mjs";import"./chunk-QDLAGV4I.mjs";import"./chunk-DDU3WEPE.mjs";import"./chunk-CPX2PQK5.mjs";import"./chunk-OX56RONK.mjs";import"./chunk-C5AMQVWP.mjs";export{a as Interrupted,b as printError};
