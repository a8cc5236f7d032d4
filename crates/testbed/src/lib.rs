//! Development only: a sandboxed Linux host with its own Open vSwitch and Docker Engine.
