//! What is said of a user, and what it may do: changed by itself or by an admin.

use bus::{Context, Handle};

use super::{
    ChangeProfile, CloseReason, Disable, Enable, Grant, Profile, Rename, Revoke,
    SetPostalAddresses, User, UserError, UserEvent,
};

impl Handle<Rename> for User {
    const NAME: &'static str = "rename";
    type Reply = Profile;

    fn handle(
        &self,
        Rename { name }: Rename,
        ctx: &mut Context<Self>,
    ) -> Result<Profile, UserError> {
        let is_news = self.person()?.name != name;
        let event = is_news.then(|| UserEvent::Renamed { name: name.clone() });
        self.changed(ctx, event, |profile| profile.name = name)
    }
}

impl Handle<SetPostalAddresses> for User {
    const NAME: &'static str = "set_postal_addresses";
    type Reply = Profile;

    fn handle(
        &self,
        SetPostalAddresses { addresses }: SetPostalAddresses,
        ctx: &mut Context<Self>,
    ) -> Result<Profile, UserError> {
        let is_news = self.person()?.postal_addresses != addresses;
        let event = is_news.then(|| UserEvent::PostalAddressesSet { addresses: addresses.clone() });
        self.changed(ctx, event, |profile| profile.addresses = addresses)
    }
}

impl Handle<ChangeProfile> for User {
    const NAME: &'static str = "change_profile";
    type Reply = Profile;

    fn handle(
        &self,
        ChangeProfile { name, addresses }: ChangeProfile,
        ctx: &mut Context<Self>,
    ) -> Result<Profile, UserError> {
        // Both in one commit: whoever changes what she saw changes all of it or nothing.
        let person = self.person()?;
        let mut profile = person.profile(ctx.id());
        if let Some(addresses) = addresses.filter(|given| *given != person.postal_addresses) {
            profile.addresses.clone_from(&addresses);
            ctx.emit(UserEvent::PostalAddressesSet { addresses });
        }
        if let Some(name) = name.filter(|given| *given != person.name) {
            profile.name.clone_from(&name);
            ctx.emit(UserEvent::Renamed { name });
        }
        Ok(profile)
    }
}

impl Handle<Grant> for User {
    const NAME: &'static str = "grant";
    type Reply = Profile;

    fn handle(&self, Grant { role }: Grant, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        let is_news = !self.person()?.roles.contains(&role);
        let event = is_news.then_some(UserEvent::RoleGranted { role });
        self.changed(ctx, event, |profile| {
            profile.roles.insert(role);
        })
    }
}

impl Handle<Revoke> for User {
    const NAME: &'static str = "revoke";
    type Reply = Profile;

    fn handle(
        &self,
        Revoke { role }: Revoke,
        ctx: &mut Context<Self>,
    ) -> Result<Profile, UserError> {
        let is_news = self.person()?.roles.contains(&role);
        let event = is_news.then_some(UserEvent::RoleRevoked { role });
        self.changed(ctx, event, |profile| {
            profile.roles.remove(&role);
        })
    }
}

impl Handle<Disable> for User {
    const NAME: &'static str = "disable";
    type Reply = Profile;

    fn handle(&self, _: Disable, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        let person = self.person()?;
        let event = (!person.is_disabled).then_some(UserEvent::Disabled {});
        let profile = self.changed(ctx, event, |profile| profile.is_disabled = true)?;
        person.close_all_but(None, CloseReason::Disabled, ctx);
        Ok(profile)
    }
}

impl Handle<Enable> for User {
    const NAME: &'static str = "enable";
    type Reply = Profile;

    fn handle(&self, _: Enable, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        let event = self.person()?.is_disabled.then_some(UserEvent::Enabled {});
        self.changed(ctx, event, |profile| profile.is_disabled = false)
    }
}
