"""What git calls, not people: no click, nothing imported that the call does not need. One module
a call, each with `run(args) -> exit code`."""
