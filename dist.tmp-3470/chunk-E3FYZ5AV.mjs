import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{c as t}from"./chunk-JOA7T4FQ.mjs";import{a as e}from"./chunk-C5AMQVWP.mjs";function s(r,i=!1){if(r.failures.length===0)return 0;for(let o of r.failures)t(o,{hasTrace:i});return r.exitStatus}e(s,"reportFailures");export{s as a};
