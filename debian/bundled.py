"""List the bundled libraries: the name, release and licence of each."""

from importlib.metadata import distributions


def licence(metadata):
    """Return a library's licence, from whichever field of its metadata has it."""
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier", ()) if c.startswith("License ::")]
    return metadata["License-Expression"] or ", ".join(classifiers) or metadata["License"]


print("# Libraries bundled in this package; the file copyright has the texts of their licences.")
for found in sorted(distributions(), key=lambda found: found.name.lower()):
    if found.name != "finger":
        print(f"{found.name:<20} {found.version:<14} {licence(found.metadata)}")
