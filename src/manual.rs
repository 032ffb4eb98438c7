//! The manual pages of the program and of its commands, from the definition of the command line.

use crate::arguments::Arguments;
use clap::CommandFactory;
use clap_mangen::Man;
use manifold::version::VERSION;
use std::fs;
use std::io;
use std::path::Path;

/// The page of the program.
pub(crate) fn page() -> io::Result<Vec<u8>> {
    rendered(&Man::new(program()))
}

/// Writes all pages into a folder, which is made if it does not exist. The name of a page's file is that of its command,
/// such as `manifold-init.1`.
pub(crate) fn write_to(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let program = program();
    let commands: Vec<_> = program.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    for command in commands.into_iter().chain([program]) {
        let page = Man::new(command).source(format!("manifold {VERSION}"));
        fs::write(folder.join(page.get_filename()), rendered(&page)?)?;
    }
    Ok(())
}

/// The program, without the command `help`, which has no page.
fn program() -> clap::Command {
    let mut program = Arguments::command().disable_help_subcommand(true);
    // Gives the commands the name of the program.
    program.build();
    program
}

fn rendered(page: &Man) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    page.render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_page_that_a_page_names_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("made/man1");
        write_to(&pages).unwrap();
        let written: BTreeSet<String> =
            fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut named = BTreeSet::from(["manifold.1".to_owned()]);
        for file in &written {
            let text = fs::read_to_string(pages.join(file)).unwrap().replace("\\-", "-");
            assert!(text.contains(&format!(".TH {} 1 ", file.strip_suffix(".1").unwrap())), "{file}: {text}");
            named.extend(text.split_whitespace().filter_map(|word| {
                let name = word.strip_suffix("(1)").filter(|name| name.starts_with("manifold-"))?;
                Some(format!("{name}.1"))
            }));
        }
        assert_eq!(written, named);
        assert!(written.contains("manifold-init.1") && !written.contains("manifold-man.1"), "{written:?}");
        assert_eq!(fs::read(pages.join("manifold.1")).unwrap().len(), page().unwrap().len());
    }
}
