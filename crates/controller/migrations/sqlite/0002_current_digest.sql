-- Whether a lab's current revision says the same is seen without reading it: its digest lies behind its text.
CREATE INDEX revisions_current ON revisions (lab, number, digest);
DROP INDEX revisions_of_lab;
