"""The exam: tasks that training never sees, and grades of the answers by running them.

`task` defines a task. `draw` makes tasks from templates and the lexicon, `live` from documentation
and golden programs, `running` runs their hidden calls, and `mutants` makes wrong programs.
`structure` reads declarations and structural facts of a program, `grade` grades an answer,
`discriminate` and `sealed` examine the exam itself. `help` writes the prompt of a base model that
gets help, `sit` collects the answers of an arm, and `results` compares arms.

Everything here is a pure function of texts and frames; models come in as functions.
"""
